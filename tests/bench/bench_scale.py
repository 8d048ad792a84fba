"""What a record costs from ten thousand records to ten million, and the memory it takes.

    python tests/bench/bench_scale.py [--rounds 3]

Candles of the archive, exactly once, SASL_SSL. Ten million records need 4 GB of disk for a minute.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from loads import Run, candles, run_worker, running_venue

from loadertask_devstack.kafka import Kafka, running_kafka

WARM_UPS = 3
ONE_MINUTE_DAYS = (7, 70, 694)
ONE_SECOND_DAYS = 116


def main() -> int:
    options = _options()
    with (
        tempfile.TemporaryDirectory(prefix="bench-scale-") as folder,
        running_venue() as url,
        running_kafka(Path(folder) / "kafka", full_jit=True) as kafka,
    ):
        print("warming up: the broker compiles, the replay makes the archive's files", flush=True)
        for _ in range(WARM_UPS):
            _load(kafka, url, ONE_MINUTE_DAYS[-1])
        print("\n| records | interval | µs for each, median | peak MB |\n|---|---|---|---|")
        for days in ONE_MINUTE_DAYS:
            _print([_load(kafka, url, days) for _ in range(options.rounds)], "1m")
        _print([_load(kafka, url, ONE_SECOND_DAYS, TYPE="api_candles_1s")], "1s")
    return 0


def _load(kafka: Kafka, url: str, days: int, **changes: str) -> Run:
    return run_worker(kafka, candles(kafka, url, days, LOADER_ARCHIVE_URL=url, **changes))


def _print(runs: list[Run], interval: str) -> None:
    cost_us = statistics.median(1e6 * run.seconds / run.records for run in runs)
    peak_mb = max(run.peak_rss_mb for run in runs)
    print(f"| {runs[0].records:,} | {interval} | {cost_us:.2f} | {peak_mb:.0f} |", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
