"""What bench_operator measures of an operator and its fleet, and the table it goes into."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from fleet import Fleet
from tests.integration.operator_process import OperatorProcess

EVENTS = 20
BEAT_S = 5.0
PATIENT = {"startupDeadlineSeconds": 86_400}
STATUS = "PUT loadertasks status"
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


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
    begun_s, before = time.monotonic(), await all_.writes()
    taken = []
    for name in names[:samples]:
        sent_s = time.monotonic()
        all_.say(name, "finished", 100_000)
        await all_.until(lambda n=name: "Stopping" in all_.seen[n].phases_s)
        taken.append(all_.seen[name].phases_s["Stopping"] - sent_s)
        await asyncio.sleep(0.02)
    tens_s = (time.monotonic() - begun_s) / 10
    progress = (await all_.writes())[STATUS] - before[STATUS] - samples
    beating.cancel()
    table.row(
        f"event → status (phase) at {len(names)} running tasks",
        f"p50 {quantile(taken, 0.5) * 1e3:.0f} ms, p99 {quantile(taken, 0.99) * 1e3:.0f} ms",
        "p99 ≤ 1 s",
    )
    table.row(
        f"writes of progress a task in 10 s, of {len(names) - samples} that tell of it every 5 s",
        f"{max(progress, 0) / (len(names) - samples) / tens_s:.2f}",
        "≤ 1",
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
    await all_.end_jobs(names)
    await all_.until(lambda: all(all_.is_tidy(name) for name in names))


async def measure_lives(all_: Fleet, operator: OperatorProcess, wave: int, table: Table) -> float:
    """Whole lives beside what has ended by now; the milliseconds of CPU of one."""
    finished = len(all_.seen)
    names = [f"wave-{finished}-{number}" for number in range(wave)]
    before_s, writes, begun_s = cpu_s(operator.pid), await all_.writes(), time.monotonic()
    await all_.live(names, EVENTS)
    took_s = time.monotonic() - begun_s
    cost_ms = (cpu_s(operator.pid) - before_s) / wave * 1e3
    made = {kind: count - writes[kind] for kind, count in (await all_.writes()).items()}
    lives = f"life of {wave} loads of {EVENTS} events beside {finished} finished"
    table.row(f"CPU, {lives}", f"{cost_ms:.1f} ms each; {wave / took_s:.0f} lives/s", "≤ 15 ms")
    kinds = ", ".join(f"{n / wave:.1f} {kind}" for kind, n in made.items() if n)
    table.row(f"writes, {lives}", f"{sum(made.values()) / wave:.1f} each ({kinds})", "≤ 8")
    return cost_ms


async def measure_rest(all_: Fleet, operator: OperatorProcess, idle_s: float, table: Table) -> None:
    """What it takes to do nothing."""
    finished = len(all_.seen)
    before_s = cpu_s(operator.pid)
    await asyncio.sleep(idle_s)
    share = (cpu_s(operator.pid) - before_s) / idle_s
    table.row(f"idle CPU at {finished} finished tasks", f"{share:.2%} of a core", "≤ 2 %")
    table.row(f"resident memory at {finished} tasks", f"{rss_mb(operator.pid):.0f} MB", "≤ 200 MB")


async def measure_restart(
    all_: Fleet, operator: OperatorProcess, running: int, table: Table
) -> None:
    """SIGKILL, events and tasks meanwhile, start: until all of that is in the statuses."""
    finished = len(all_.seen)
    names = [f"running-{number}" for number in range(running)]
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
        f"restart with {finished} finished and {running} running tasks until all is folded",
        f"{time.monotonic() - begun_s:.1f} s",
        "≤ 20 s",
    )


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
