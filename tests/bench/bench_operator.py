"""How fast and how big the operator is: the table of its targets, measured here and printed.

Real API server and Kafka, the operator as a process with its default settings; nodes, kubelets and
workers are played (kwok, fleet.py). A naive operator that polls runs beside it for comparison.
The whole is meant to take less than a quarter of an hour.

    python tests/bench/bench_operator.py [--short]      `make bench-operator` runs it whole

To compare with another operator: give it a context manager as `naive_operator` is one, and a fleet.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from fleet import Fleet, fleet
from operator_measures import (
    EVENTS,
    Table,
    cpu_s,
    finish,
    measure_burst,
    measure_lives,
    measure_reaction,
    measure_rest,
    measure_restart,
    rss_mb,
)
from simulated_cluster import api_server_alone, whole_cluster
from tests.integration.operator_process import World, eventually, operator_world

from loadertask_devstack.kafka import Kafka, running_kafka

HERE = Path(__file__).resolve().parent
DEFAULTS = {"STATUS_WRITE_SECONDS": "10", "RESYNC_SECONDS": "30", "GRACE_SECONDS": "60"}


@dataclass(frozen=True)
class Size:
    """How many tasks of everything; all but ``running`` have ended when the restart is measured."""

    few: tuple[int, ...]
    """Whole lives at the beginning, in waves."""
    burst: int
    filled: int
    """Whole lives of two events, so that many have ended."""
    last: int
    """Whole lives beside all of these."""
    running: int
    samples: int
    idle_s: float


WHOLE = Size((100, 400), 1000, 3300, 200, 500, 200, 60.0)
SHORT = Size((40, 60), 100, 60, 40, 40, 30, 35.0)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="a tenth of it, for `make bench`")
    parser.add_argument(
        "--only", choices=["burst", "scale", "whole", "naive"], action="append", default=[]
    )
    options = parser.parse_args()
    size, table = (SHORT if options.short else WHOLE), Table()
    parts = options.only or ["burst", "scale", "naive", *([] if options.short else ["whole"])]
    begun_s, failed = time.monotonic(), False
    with tempfile.TemporaryDirectory(prefix="bench-operator-") as place:
        directory = Path(place)
        with running_kafka(directory / "kafka") as kafka:
            for name, part in PARTS.items():
                if name not in parts or (name == "burst" and "scale" in parts):
                    continue
                try:
                    part(directory / name, kafka, size, table)
                except Exception:  # the rows of the other parts are worth having
                    traceback.print_exc()
                    table.row(f"part {name}", "failed")
                    failed = True
    table.show()
    print(f"in {(time.monotonic() - begun_s) / 60:.1f} minutes")
    return int(failed)


def burst(directory: Path, kafka: Kafka, size: Size, table: Table) -> None:
    """API server and etcd, nothing else: many at once."""
    _alone(directory, kafka, lambda world: _burst(world, size, table))


def scale(directory: Path, kafka: Kafka, size: Size, table: Table) -> None:
    """The same, and everything that is measured of thousands."""
    _alone(directory, kafka, lambda world: _scale(world, size, table))


def _alone(
    directory: Path, kafka: Kafka, measure: Callable[[World], Coroutine[None, None, None]]
) -> None:
    print("API server and etcd alone", flush=True)
    directory.mkdir()
    with (
        api_server_alone(directory) as kubeconfig,
        operator_world(kubeconfig, kafka, directory, **DEFAULTS) as world,
    ):
        asyncio.run(measure(world))


async def _burst(world: World, size: Size, table: Table) -> None:
    async with _fleet(world) as all_:
        await _measure_burst_and_end(all_, size, table)


async def _measure_burst_and_end(all_: Fleet, size: Size, table: Table) -> None:
    names = [f"burst-{number}" for number in range(size.burst)]
    await measure_burst(all_, names, table, "API server alone", "≤ 1 s, ≥ 200/s")
    await measure_reaction(all_, names, size.samples, table)
    await finish(all_, names)


async def _scale(world: World, size: Size, table: Table) -> None:
    async with _fleet(world) as all_:
        # The first lives pay for what is done once.
        await all_.live([f"first-{number}" for number in range(10)], EVENTS)
        costs = [await measure_lives(all_, world.operator, wave, table) for wave in size.few]
        await _measure_burst_and_end(all_, size, table)
        print(f"  {size.filled} more loads of 2 events", flush=True)
        await all_.live([f"filled-{number}" for number in range(size.filled)], 2)
        finished = len(all_.seen)
        costs.append(await measure_lives(all_, world.operator, size.last, table))
        table.row(
            f"cost of a life beside {finished} finished tasks, against the first {size.few[0]}",
            f"{costs[-1] / costs[0]:.2f} ×",
            "flat",
        )
        await measure_rest(all_, world.operator, size.idle_s, table)
        await measure_restart(all_, world.operator, size.running, table)


def _fleet(world: World) -> AbstractAsyncContextManager[Fleet]:
    return fleet(world.kubeconfig, world.namespace, world.producer, world.events_topic)


def whole(directory: Path, kafka: Kafka, size: Size, table: Table) -> None:
    """The whole local cluster, its nodes simulated."""
    print("the whole cluster: controllers, scheduler, simulated nodes", flush=True)
    directory.mkdir()
    with (
        whole_cluster(directory, print) as kubeconfig,
        operator_world(kubeconfig, kafka, directory, **DEFAULTS) as world,
    ):
        asyncio.run(_with_nodes(world, size, table))


async def _with_nodes(world: World, size: Size, table: Table) -> None:
    async with _fleet(world) as all_:
        names = [f"burst-{number}" for number in range(size.burst)]
        await measure_burst(all_, names, table, "whole cluster", "≤ 2 s")


def naive(directory: Path, kafka: Kafka, size: Size, table: Table) -> None:
    """The naive operator, in the same run."""
    print("the naive operator", flush=True)
    directory.mkdir()
    with (
        api_server_alone(directory) as kubeconfig,
        operator_world(kubeconfig, kafka, directory, start=False) as world,
        naive_operator(world, directory) as pid,
    ):
        asyncio.run(_beside(world, pid, size, table))


async def _beside(world: World, pid: int, size: Size, table: Table) -> None:
    async with _fleet(world) as all_:
        names = [f"burst-{number}" for number in range(size.burst)]
        before_s, writes = cpu_s(pid), await all_.writes()
        await measure_burst(all_, names, table, "naive operator, API server alone", "")
        await all_.end_jobs(names)
        await all_.until(
            lambda: all(all_.seen[n].status.get("phase") == "Succeeded" for n in names)
        )
        cost_ms = (cpu_s(pid) - before_s) / len(names) * 1e3
        made = sum((await all_.writes()).values()) - sum(writes.values())
        table.row(
            "naive operator: life of a load, no events",
            f"{cost_ms:.1f} ms of CPU, {made / len(names):.1f} writes each",
        )
        before_s = cpu_s(pid)
        await asyncio.sleep(size.idle_s / 2)
        share = (cpu_s(pid) - before_s) / (size.idle_s / 2)
        table.row(
            f"naive operator: idle at {len(names)} finished tasks",
            f"{share:.0%} of a core, {rss_mb(pid):.0f} MB",
        )


@contextmanager
def naive_operator(world: World, directory: Path) -> Iterator[int]:
    """The process id of the naive operator, watching the namespace of ``world``."""
    command = [sys.executable, "-m", "kopf", "run", "--standalone", "--namespace", world.namespace]
    with (directory / "naive.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, str(HERE / "naive_operator.py")],
            env={**os.environ, "KUBECONFIG": str(world.kubeconfig)},
            stderr=log,
            stdout=log,
        )
        try:
            # Its start is not to be counted.
            eventually(lambda: b"authentication has finished" in Path(log.name).read_bytes(), 60)
            yield process.pid
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(10)


PARTS = {"burst": burst, "scale": scale, "naive": naive, "whole": whole}


if __name__ == "__main__":
    raise SystemExit(main())
