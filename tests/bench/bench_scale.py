"""What a record costs from ten thousand records to ten million, and the memory it takes.

    python tests/bench/bench_scale.py [--rounds 3]

Candles of the archive, exactly once, SASL_SSL; from the ``started`` event to ``finished``. Every
load pays once for its first answers and its last commit, which a short one shows: beside the cost
of each record stands that of each further one. Ten million records need 4 GB of disk for a minute.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from datetime import timedelta
from pathlib import Path

import aiohttp
from loads import FIRST_DAY, Run, candles, run_worker, running_venue

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
        asyncio.run(_make_files(url, "1s", ONE_SECOND_DAYS))
        print("\n| records | interval | µs each | µs each further one | peak MB |")
        print("|---|---|---|---|---|")
        before: Run | None = None
        for days in ONE_MINUTE_DAYS:
            runs = [_load(kafka, url, days) for _ in range(options.rounds)]
            before = _print(runs, before, "1m")
        _print([_load(kafka, url, ONE_SECOND_DAYS, TYPE="api_candles_1s")], before, "1s")
    return 0


async def _make_files(url: str, interval: str, days: int) -> None:
    """Have the replay make the files of so many days: it does that slower than they are read."""
    folder = f"{url}/data/spot/daily/klines/BTCUSDT/{interval}/BTCUSDT-{interval}"
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=600)) as session:
        for number in range(days):
            day = FIRST_DAY + timedelta(days=number)
            async with session.get(f"{folder}-{day}.zip.CHECKSUM") as response:
                response.raise_for_status()


def _load(kafka: Kafka, url: str, days: int, **changes: str) -> Run:
    return run_worker(kafka, candles(kafka, url, days, LOADER_ARCHIVE_URL=url, **changes))


def _print(runs: list[Run], before: Run | None, interval: str) -> Run:
    """Print the line of the median run, and return that run."""
    run = sorted(runs, key=lambda each: each.seconds)[len(runs) // 2]
    peak_mb = max(each.peak_rss_mb for each in runs)
    further = ""
    if before:
        further_s = (run.seconds - before.seconds) / (run.records - before.records)
        further = f"{1e6 * further_s:.2f}"
    each_us = 1e6 * run.seconds / run.records
    print(
        f"| {run.records:,} | {interval} | {each_us:.2f} | {further} | {peak_mb:.0f} |", flush=True
    )
    return run


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
