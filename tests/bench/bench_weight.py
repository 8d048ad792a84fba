"""How much of the venue's request weight a worker uses, and whether it is ever told to wait.

    python tests/bench/bench_weight.py [--minutes 3] [--weight-limit 6000] [--type api_trades]

One worker loads over REST from a replay that keeps the venue's limits; the replay's audit says what
each whole minute of its clock was charged. Raw trades are the heaviest pages, so that the worker is
never slower than its limit.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from loads import candles, start_worker

from loadertask_devstack.kafka import running_kafka
from loadertask_devstack.stack import free_port

MINUTE_S = 60
RANGE = "2021-01-01:2021-12-31"


def main() -> int:
    """Run, and print the table; 1 where the worker was told to wait."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="bench-weight-") as folder:
        port = free_port()
        venue = _start_venue(port, options.weight_limit)
        try:
            with running_kafka(Path(folder) / "kafka") as kafka:
                variables = candles(kafka, f"http://127.0.0.1:{port}", 1)
                variables |= {"TYPE": options.type, "TIME_RANGE": RANGE, "LOADER_TRADES": "raw"}
                worker = start_worker(variables)
                try:
                    _wait_for_minutes(options.minutes)
                finally:
                    worker.terminate()
                    worker.wait(30)
                audit = _audit(port)
        finally:
            venue.terminate()
            venue.wait(10)
    return _print_table(audit, options)


def _wait_for_minutes(minutes: int) -> None:
    """The rest of this minute, which the start takes a part of, and then so many whole ones."""
    print(f"loading for {minutes} whole minutes of the clock", flush=True)
    time.sleep(MINUTE_S - time.time() % MINUTE_S + minutes * MINUTE_S)


def _print_table(audit: dict[str, Any], options: argparse.Namespace) -> int:
    weights = [each["weight"] for each in audit["weight_per_minute"]]
    whole = weights[1 : 1 + options.minutes]
    refused = sum(audit["statuses"].get(status, 0) for status in ("429", "418", "403"))
    print(f"{'minute':8}{'weight':>8}{'share':>9}")
    for number, weight in enumerate(whole, 1):
        print(f"{number:<8}{weight:>8}{weight / options.weight_limit:>9.1%}")
    share = sum(whole) / (len(whole) * options.weight_limit)
    print(f"{'all':8}{sum(whole):>8}{share:>9.1%}   429, 418 and 403: {refused}")
    return int(refused > 0)


def _start_venue(port: int, weight_limit: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "loadertask_devstack.venue", "--port", str(port)]
    command += ["--weight-limit", str(weight_limit), "--no-gzip"]
    venue = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert venue.stdout is not None
    if not any("venue replay on" in line for line in venue.stdout):
        raise SystemExit("the venue replay did not start")
    return venue


def _audit(port: int) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/_replay/audit") as answer:
        audit: dict[str, Any] = json.load(answer)
    return audit


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--minutes", type=int, default=3)
    parser.add_argument("--weight-limit", type=int, default=6000, help="of the venue per minute")
    parser.add_argument("--type", default="api_trades", help="what to load [%(default)s]")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
