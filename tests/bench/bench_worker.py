"""How fast the worker is, against the loop it replaces and Kafka's own performance test.

    python tests/bench/bench_worker.py [--rounds 5] [--days 365]

All in turns, in one run, against one broker with its full compiler, over SASL_SSL, acks=all, with
records of one size; medians. Two cores hold the broker, the replay and what is measured: nothing
else should run. The replay makes the archive's files during the warm-up.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from loads import Run, candles, run_java, run_loop, run_shards, run_worker, running_venue

from loadertask_devstack.kafka import Kafka, broker, running_kafka

WARM_UPS = 3
ARCHIVE = "worker: archive"
LOOP = "a loop of await send_and_wait"
JAVA = "kafka-producer-perf-test"

Measured = Mapping[str, Callable[[], Run]]


def main() -> int:
    options = _options()
    with (
        tempfile.TemporaryDirectory(prefix="bench-worker-") as folder,
        running_venue() as url,
        running_kafka(Path(folder) / "kafka", full_jit=True) as kafka,
    ):
        measured = _measured(kafka, url, Path(folder), options.days)
        print("warming up: the broker compiles what it runs often", flush=True)
        for _ in range(WARM_UPS):
            measured[ARCHIVE]()
        _print_table(_rounds(measured, options.rounds))
    return 0


def _measured(kafka: Kafka, url: str, folder: Path, days: int) -> Measured:
    jars = broker.prepare().jars
    large = ("--command-property", "batch.size=900000", "linger.ms=5")

    def load(shards: int = 1, **changes: str) -> Run:
        variables = candles(kafka, url, days, **changes)
        return run_shards(kafka, variables, shards) if shards > 1 else run_worker(kafka, variables)

    archive = {"LOADER_ARCHIVE_URL": url}
    return {
        ARCHIVE: lambda: load(**archive),
        "two workers, a shard each: archive": lambda: load(shards=2, **archive),
        "worker: REST": load,
        "worker: archive, at least once": lambda: load(**archive, LOADER_DELIVERY="at_least_once"),
        JAVA: lambda: run_java(kafka, folder, jars),
        f"{JAVA} batch.size=900000": lambda: run_java(kafka, folder, jars, large),
        LOOP: lambda: run_loop(kafka, url),
    }


def _rounds(measured: Measured, rounds: int) -> dict[str, list[Run]]:
    runs: dict[str, list[Run]] = {name: [] for name in measured}
    for number in range(1, rounds + 1):
        for name, measure in measured.items():
            runs[name].append(measure())
        rates = ", ".join(f"{each[-1].rate:,.0f}" for each in runs.values())
        print(f"round {number}: {rates} records/s", flush=True)
    return runs


def _print_table(runs: Mapping[str, list[Run]]) -> None:
    rates = {name: statistics.median(run.rate for run in each) for name, each in runs.items()}
    print("\n| SASL_SSL, acks=all; worker: exactly once | records/s | × Java | × loop | peak MB |")
    print("|---|---|---|---|---|")
    for name, rate in rates.items():
        peak_mb = max(run.peak_rss_mb for run in runs[name])
        memory = f"{peak_mb:.0f}" if peak_mb else ""
        print(f"| {name} | {rate:,.0f} | {rate / rates[JAVA]:.2f} | {rate / rates[LOOP]:.0f} |"
              f" {memory} |")  # fmt: skip


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--days", type=int, default=365, help="of the loads")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
