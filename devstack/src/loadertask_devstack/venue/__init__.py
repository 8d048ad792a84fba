"""A strict replay of Binance's spot market data: recorded candles, synthetic ones elsewhere.

``start``/``stop`` run it detached; ``server.running_venue`` runs it inside a test. This module
imports nothing but the daemon: the server is for its own process and for tests.
"""

from loadertask_devstack.venue.daemon import Venue, default_recordings, start, stop

__all__ = ["Venue", "default_recordings", "start", "stop"]
