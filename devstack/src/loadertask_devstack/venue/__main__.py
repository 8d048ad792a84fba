"""``python -m loadertask_devstack.venue``: runs the replay in the foreground."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path

from loadertask_devstack.errors import DevstackError
from loadertask_devstack.venue.daemon import default_recordings
from loadertask_devstack.venue.limits import LimitRules
from loadertask_devstack.venue.server import serve
from loadertask_devstack.venue.state import VenueSettings
from loadertask_devstack.venue.streams.rules import StreamRules
from loadertask_devstack.venue.synthetic import DEFAULT_SEED


def main(arguments: list[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; 1 with a message where it cannot run."""
    options = _parser().parse_args(arguments)
    defaults = LimitRules()
    settings = VenueSettings(
        rules=LimitRules(
            weight_per_minute=options.weight_limit,
            raw_per_five_minutes=max(options.raw_limit, options.weight_limit * 5),
            first_ban_s=options.first_ban,
            longest_ban_s=max(options.first_ban, defaults.longest_ban_s),
        ),
        recordings=options.recordings,
        seed=options.seed,
        compress=options.gzip,
        retained_days=options.trades_days,
        archive_delay_h=options.archive_delay,
    )
    try:
        asyncio.run(serve(settings, options.host, options.port, options.stream_rules))
    except DevstackError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(
            f"cannot listen on {options.host}:{options.port}: {error}\n  → give another --port",
            file=sys.stderr,
        )
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    rules = LimitRules()
    parser = argparse.ArgumentParser(
        prog="python -m loadertask_devstack.venue",
        description="A strict replay of Binance's spot market data.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to bind [%(default)s]")
    parser.add_argument("--port", type=int, default=8080, help="0 for a free one [%(default)s]")
    parser.add_argument(
        "--weight-limit", type=int, default=rules.weight_per_minute,
        help="request weight per minute and address [%(default)s]",
    )  # fmt: skip
    parser.add_argument(
        "--raw-limit", type=int, default=rules.raw_per_five_minutes,
        help="requests per five minutes and address [%(default)s]",
    )  # fmt: skip
    parser.add_argument(
        "--first-ban", type=float, default=rules.first_ban_s, metavar="SECONDS",
        help="length of the first ban; each further one is twice as long [%(default)s]",
    )  # fmt: skip
    parser.add_argument(
        "--recordings", type=Path, default=default_recordings(os.environ),
        help="folder with archive/ and rest/ (DEVSTACK_RECORDINGS) [%(default)s]",
    )  # fmt: skip
    parser.add_argument(
        "--stream-rules", type=StreamRules.model_validate_json, default=StreamRules(),
        metavar="JSON", help='limits and timing of the streams, as {"lifetime_s": 3}',
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="of the synthetic candles")
    parser.add_argument(
        "--trades-days", type=int, default=None, metavar="DAYS",
        help="how many days of trades REST knows [all]",
    )  # fmt: skip
    parser.add_argument(
        "--archive-delay", type=float, default=5, metavar="HOURS",
        help="how long after midnight a file of the archive appears [%(default)s]",
    )  # fmt: skip
    parser.add_argument(
        "--gzip", action=argparse.BooleanOptionalAction, default=True,
        help="compress answers for clients that accept it, as the venue does",
    )  # fmt: skip
    return parser


if __name__ == "__main__":
    sys.exit(main())
