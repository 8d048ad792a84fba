"""The venue's market data streams over WebSocket.

What a stream says is a pure function of the venue's clock: the same events for every connection,
and readable afterwards through the control interface. Only connection, broadcast and the routes
know sockets.
"""
