"""How fast and how big the operator is: the table of its targets, measured here and printed.

Real API server and Kafka, the operator as a process with its default settings; nodes, kubelets and
workers are played (kwok, fleet.py). A naive operator that polls runs beside it for comparison.

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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from fleet import Fleet, fleet
from simulated_cluster import api_server_alone, whole_cluster
from tests.integration.operator_process import OperatorProcess, World, eventually, operator_world

from loadertask_devstack.kafka import Kafka, running_kafka

HERE = Path(__file__).resolve().parent
EVENTS = 20
BEAT_S = 5.0
PATIENT = {"startupDeadlineSeconds": 86_400}
DEFAULTS = {"STATUS_WRITE_SECONDS": "10", "RESYNC_SECONDS": "30", "GRACE_SECONDS": "60"}
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    burst: int
    waves: tuple[int, ...]
    running: int
    samples: int
    idle_s: float


WHOLE = Size(1000, (100, 400, 1000, 2500), 500, 200, 60.0)
SHORT = Size(200, (50, 150, 300), 50, 50, 35.0)


@dataclass
class Table:
    """The rows, printed as they are measured."""

    rows: list[tuple[str, str, str]] = field(default_factory=list)

    def row(self, what: str, measured: str, target: str = "") -> None:
        self.rows.append((what, measured, target))
        print(f"  {what}: {measured}" + (f" (target {target})" if target else ""), flush=True)

    def show(self) -> None:
        print("\n| what | measured | target |\n|---|---|---|")
        for row in self.rows:
            print("| " + " | ".join(row) + " |")


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
    with tempfile.TemporaryDirectory(prefix="bench-operator-") as place:
        directory = Path(place)
        with running_kafka(directory / "kafka") as kafka:
            if {"burst", "scale"} & set(parts):
                alone(directory / "alone", kafka, size, table, has_scale="scale" in parts)
            if "whole" in parts:
                with_nodes(directory / "whole", kafka, size, table)
            if "naive" in parts:
                beside(directory / "naive", kafka, size, table)
    table.show()
    return 0


def alone(directory: Path, kafka: Kafka, size: Size, table: Table, *, has_scale: bool) -> None:
    """API server and etcd, nothing else."""
    print("API server and etcd alone", flush=True)
    directory.mkdir()
    with (
        api_server_alone(directory) as kubeconfig,
        operator_world(kubeconfig, kafka, directory, **DEFAULTS) as world,
    ):
        asyncio.run(_alone(world, size, table, has_scale=has_scale))


async def _alone(world: World, size: Size, table: Table, *, has_scale: bool) -> None:
    async with fleet(world.kubeconfig, world.namespace, world.producer, world.events_topic) as all_:
        names = [f"burst-{number}" for number in range(size.burst)]
        await measure_burst(all_, names, table, "API server alone", "≤ 1 s, ≥ 200/s")
        await measure_reaction(all_, names, size.samples, table)
        await finish(all_, names)
        if has_scale:
            await measure_waves(all_, world.operator, size, table)
            await measure_rest(all_, world.operator, size, table)
            await measure_restart(all_, world.operator, size, table)


async def measure_burst(
    all_: Fleet, names: list[str], table: Table, where: str, target: str
) -> None:
    """Create everything at once; from the request of each to its Job."""
    begun_s = time.monotonic()
    await all_.create(names, **PATIENT)
    created_s = time.monotonic() - begun_s
    await all_.until(lambda: all(all_.seen[name].job_s for name in names))
    taken = [(all_.seen[name].job_s or 0) - all_.seen[name].asked_s for name in names]
    rate = len(names) / (max(all_.seen[name].job_s or 0 for name in names) - begun_s)
    table.row(
        f"{len(names)} tasks at once, create → Job, {where}",
        f"p50 {quantile(taken, 0.5):.2f} s, p99 {quantile(taken, 0.99):.2f} s, {rate:.0f} tasks/s "
        f"(creating alone took {created_s:.1f} s)",
        target,
    )


async def measure_reaction(all_: Fleet, names: list[str], samples: int, table: Table) -> None:
    """Change the phase of some while all of them tell of progress."""
    await all_.until(lambda: all("jobUID" in _attempt(all_, name) for name in names))
    for name in names:
        all_.say(name, "started")
    await all_.until(lambda: all("Running" in all_.seen[name].phases_s for name in names))
    beating = asyncio.create_task(_beat(all_, names[samples:]))
    await asyncio.sleep(BEAT_S)
    taken = []
    for name in names[:samples]:
        sent_s = time.monotonic()
        all_.say(name, "finished", 100_000)
        await all_.until(lambda n=name: "Stopping" in all_.seen[n].phases_s)
        taken.append(all_.seen[name].phases_s["Stopping"] - sent_s)
        await asyncio.sleep(0.02)
    beating.cancel()
    table.row(
        f"event → status (phase) at {len(names)} running tasks",
        f"p50 {quantile(taken, 0.5) * 1e3:.0f} ms, p99 {quantile(taken, 0.99) * 1e3:.0f} ms",
        "p99 ≤ 1 s",
    )


async def _beat(all_: Fleet, names: list[str]) -> None:
    """Every task tells of progress every five seconds."""
    written = 0
    while True:
        for name in names:
            written += 1
            all_.say(name, "loading", written)
            await asyncio.sleep(BEAT_S / len(names))


async def finish(all_: Fleet, names: list[str]) -> None:
    for name in names:
        all_.say(name, "finished", 100_000)
        await all_.end_job(name)
    await all_.until(lambda: all(all_.is_tidy(name) for name in names))


async def measure_waves(all_: Fleet, operator: OperatorProcess, size: Size, table: Table) -> None:
    """Whole lives, in waves: what one costs while the finished ones grow in number."""
    for wave in size.waves:
        finished = len(all_.seen)
        names = [f"wave-{finished}-{number}" for number in range(wave)]
        before_s, writes = cpu_s(operator.pid), await all_.writes()
        begun_s = time.monotonic()
        await all_.live(names, EVENTS)
        took_s = time.monotonic() - begun_s
        cost_ms = (cpu_s(operator.pid) - before_s) / wave * 1e3
        made = {kind: count - writes[kind] for kind, count in (await all_.writes()).items()}
        kinds = ", ".join(f"{n / wave:.1f} {kind}" for kind, n in made.items() if n)
        table.row(
            f"life of {wave} loads of {EVENTS} events beside {finished} finished",
            f"{cost_ms:.1f} ms of CPU, {sum(made.values()) / wave:.1f} writes each ({kinds}); "
            f"{wave / took_s:.0f} lives/s",
            "≤ 15 ms, flat; ≤ 8 writes",
        )


async def measure_rest(all_: Fleet, operator: OperatorProcess, size: Size, table: Table) -> None:
    """What it takes to do nothing."""
    finished = len(all_.seen)
    before_s = cpu_s(operator.pid)
    await asyncio.sleep(size.idle_s)
    share = (cpu_s(operator.pid) - before_s) / size.idle_s
    table.row(f"idle CPU at {finished} finished tasks", f"{share:.2%} of a core", "≤ 2 %")
    table.row(f"resident memory at {finished} tasks", f"{rss_mb(operator.pid):.0f} MB", "≤ 200 MB")


async def measure_restart(all_: Fleet, operator: OperatorProcess, size: Size, table: Table) -> None:
    """SIGKILL, events and tasks meanwhile, start: until all of that is in the statuses."""
    finished = len(all_.seen)
    names = [f"running-{number}" for number in range(size.running)]
    await all_.start(names)
    operator.kill()
    for name in names:
        all_.say(name, "loading", 77)
    late = [f"late-{number}" for number in range(20)]
    await all_.create(late, **PATIENT)
    begun_s = time.monotonic()
    await asyncio.to_thread(operator.start)
    await all_.until(lambda: all(all_.seen[name].job_s for name in late))
    await all_.until(lambda: all(all_.seen[n].status.get("recordsWritten") == 77 for n in names))
    table.row(
        f"restart with {finished} finished and {size.running} running tasks until all is folded",
        f"{time.monotonic() - begun_s:.1f} s",
        "≤ 20 s",
    )


def with_nodes(directory: Path, kafka: Kafka, size: Size, table: Table) -> None:
    """The whole local cluster, its nodes simulated."""
    print("the whole cluster: controllers, scheduler, simulated nodes", flush=True)
    directory.mkdir()
    with (
        whole_cluster(directory, print) as kubeconfig,
        operator_world(kubeconfig, kafka, directory, **DEFAULTS) as world,
    ):
        asyncio.run(_with_nodes(world, size, table))


async def _with_nodes(world: World, size: Size, table: Table) -> None:
    async with fleet(world.kubeconfig, world.namespace, world.producer, world.events_topic) as all_:
        names = [f"burst-{number}" for number in range(size.burst)]
        await measure_burst(all_, names, table, "whole cluster", "≤ 2 s")


def beside(directory: Path, kafka: Kafka, size: Size, table: Table) -> None:
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
    async with fleet(world.kubeconfig, world.namespace, world.producer, world.events_topic) as all_:
        names = [f"burst-{number}" for number in range(size.burst)]
        before_s, writes = cpu_s(pid), await all_.writes()
        await measure_burst(all_, names, table, "naive operator, API server alone", "")
        for name in names:
            await all_.end_job(name)
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
        await asyncio.sleep(size.idle_s)
        share = (cpu_s(pid) - before_s) / size.idle_s
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


def _attempt(all_: Fleet, name: str) -> dict[str, object]:
    found: dict[str, object] = all_.seen[name].status.get("currentAttempt", {})
    return found


def quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def rss_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    raise SystemExit(main())
