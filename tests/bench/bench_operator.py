"""How fast the operator reacts with 50 tasks running: create -> Job, and event -> status.

Real API server with controllers, real Kafka, the operator as a process with its default settings.
There is no kubelet: events are sent by this program. Run: python tests/bench/bench_operator.py
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from kubernetes import client, config, watch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.integration.operator_process import World, cluster_with_crd, eventually, operator_world

from loadertask_devstack.kafka import running_kafka
from loadertask_operator import names

TARGET_P99_S = 1.0
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Sightings:
    """When an object was first seen to satisfy a condition, by a watch of its own."""

    def __init__(self, list_call: Callable[..., Any], *arguments: str) -> None:
        self._list_call = list_call
        self._arguments = arguments
        self._seen_s: dict[tuple[str, str], float] = {}
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self) -> None:
        # The server ends before the watch does.
        with suppress(Exception):
            self._note_all()

    def _note_all(self) -> None:
        for event in watch.Watch().stream(self._list_call, *self._arguments):
            now_s = time.monotonic()
            body = event["object"]
            is_task = isinstance(body, dict)
            name = body["metadata"]["name"] if is_task else body.metadata.name
            mark = body.get("status", {}).get("phase", "") if is_task else "exists"
            self._seen_s.setdefault((name, mark), now_s)

    def seen_s(self, name: str, mark: str = "exists", timeout_s: float = 30) -> float:
        """The monotonic time of the sighting; waits for it."""
        eventually(lambda: (name, mark) in self._seen_s, timeout_s)
        return self._seen_s[name, mark]


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--running", type=int, default=50, help="tasks that run all the time")
    parser.add_argument("--samples", type=int, default=100, help="tasks that are measured")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-operator-") as place:
        directory = Path(place)
        settings = {"STATUS_WRITE_SECONDS": "10", "RESYNC_SECONDS": "30", "GRACE_SECONDS": "60"}
        with (
            running_kafka(directory / "kafka") as kafka,
            cluster_with_crd(directory / "cluster") as kubeconfig,
            operator_world(kubeconfig, kafka, directory, **settings) as world,
        ):
            measure(world, options.running, options.samples)


def measure(world: World, running: int, samples: int) -> None:
    """Keep ``running`` tasks busy while ``samples`` others are created and started."""
    api_client = config.new_client_from_config(str(world.kubeconfig))
    jobs = Sightings(client.BatchV1Api(api_client).list_namespaced_job, world.namespace)
    tasks = Sightings(
        client.CustomObjectsApi(api_client).list_namespaced_custom_object,
        *(names.GROUP, names.VERSION, world.namespace, names.PLURAL),
    )
    print(f"starting {running} tasks ...", flush=True)
    busy = [f"busy-{number}" for number in range(running)]
    for name in busy:
        world.create(name)
    for name in busy:
        jobs.seen_s(f"{name}-1")
        world.say(name, "started")
        tasks.seen_s(name, "Running")
    ended = threading.Event()
    heart = threading.Thread(target=_beat, args=(world, busy, ended), daemon=True)
    heart.start()
    cpu_before_s = _cpu_s(world.operator.pid)
    created_s, reacted_s = [], []
    print(f"measuring {samples} tasks ...", flush=True)
    for number in range(samples):
        name = f"sample-{number}"
        begun_s = time.monotonic()
        world.create(name)
        created_s.append(jobs.seen_s(f"{name}-1") - begun_s)
        tasks.seen_s(name, "Starting")
        sent_s = time.monotonic()
        world.say(name, "started")
        reacted_s.append(tasks.seen_s(name, "Running") - sent_s)
        time.sleep(0.05)
    cpu_s = _cpu_s(world.operator.pid) - cpu_before_s
    ended.set()
    heart.join(10)
    print(f"\n{running} tasks running, {samples} measured, one after another")
    print(f"{'':24}{'p50':>9}{'p99':>9}{'max':>9}{'target p99':>12}{'ratio':>8}")
    for title, values in (("create -> Job", created_s), ("event -> status", reacted_s)):
        p50, p99 = _quantile(values, 0.50), _quantile(values, 0.99)
        print(
            f"{title:24}{p50 * 1e3:6.0f} ms{p99 * 1e3:6.0f} ms{max(values) * 1e3:6.0f} ms"
            f"{TARGET_P99_S * 1e3:9.0f} ms{p99 / TARGET_P99_S:8.2f}"
        )
    rss_mb = _resident_mb(world.operator.pid)
    print(f"operator: {cpu_s / samples * 1e3:.0f} ms of CPU per measured task, {rss_mb:.0f} MB")


def _beat(world: World, busy: list[str], ended: threading.Event) -> None:
    """Every busy task reports progress every five seconds."""
    written = 0
    while not ended.is_set():
        for name in busy:
            written += 1
            world.say(name, "loading", written=written, done=written, total=10**6)
            if ended.wait(5 / len(busy)):
                return


def _quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def _resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    main()
