"""Runs one manifest on this machine without a cluster: Kafka, venue replay, worker processes.

A worker is started with what the operator would put into its pod; the shards of a task one after
another. This is `make try`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from loadertask_devstack import kafka as kafka_broker
from loadertask_devstack import venue
from loadertask_devstack.errors import DevstackError
from loadertask_devstack.followed_events import EventFollower, tell
from loadertask_devstack.kafka.topics import read_records
from loadertask_devstack.local_manifest import local_attempt, read_manifest
from loadertask_devstack.processes import log_tail, own_command

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from loadertask_devstack.kafka import Kafka
    from loadertask_devstack.local_manifest import LocalAttempt
    from loadertask_devstack.progress import Progress
    from loadertask_devstack.stack import Stack

_POLL_S = 0.1
_WORKER_STOP_TIMEOUT_S = 15
_SHOWN_RECORDS = 2
# What a process needs of its surroundings; everything else comes from the manifest alone.
_INHERITED = ("PATH", "LANG", "LD_LIBRARY_PATH", "VIRTUAL_ENV")


def run(stack: Stack, manifest: Path, say: Progress) -> int:
    """Load what a manifest asks for and show the first records; the worker's exit code.

    Raises DevstackError for a wrong manifest or a part that cannot be started. A Ctrl-C ends the
    worker in order; what it had loaded is shown, then the KeyboardInterrupt goes on.
    """
    task = read_manifest(manifest)
    kafka = kafka_broker.start(stack.directory, progress=say)
    replay = venue.start(stack.directory)
    attempt = local_attempt(task, kafka, replay.url)
    say(f"Kafka at {kafka.secure} (SASL_SSL), venue replay at {replay.url}")
    say(f"{manifest} → a local worker: {_summary(attempt.environment)}")
    if attempt.environment["TYPE"].startswith("ws_"):
        say("a stream has no end of its own: Ctrl-C ends the worker in order")
    log = stack.directory / "logs" / "local-worker.log"
    try:
        exit_code = _load(attempt, EventFollower(kafka, task.queue_id), log, say)
    except KeyboardInterrupt:
        with suppress(DevstackError):  # stopped before it had made the topic
            _show_records(kafka, task.topic, say)
        raise
    if exit_code:
        say(f"the worker ended with exit code {exit_code}; its log, {log}:")
        print(log_tail(log))
    else:
        _show_records(kafka, task.topic, say)
    return exit_code


def _load(attempt: LocalAttempt, follower: EventFollower, log: Path, say: Progress) -> int:
    """Every shard up to the first that fails; the exit code of the last one that ran."""
    exit_code = 0
    for number, environment in enumerate(attempt.environments, start=1):
        if len(attempt.environments) > 1:
            say(f"worker {number} of {len(attempt.environments)}; a cluster runs them side by side")
        with _worker(environment, log) as worker:
            _follow(worker, follower, say)
        exit_code = worker.returncode
        if exit_code:
            break
    return exit_code


@contextmanager
def _worker(environment: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker process that does not outlive this command."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    with log.open("wb") as output:
        worker = subprocess.Popen(
            [sys.executable, "-m", "loadertask_worker"],
            env={**inherited, **environment, "LOADER_METRICS_PORT": "0"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield worker
    finally:
        worker.terminate()
        worker.wait(_WORKER_STOP_TIMEOUT_S)


def _follow(worker: subprocess.Popen[bytes], follower: EventFollower, say: Progress) -> None:
    while worker.poll() is None:
        tell(follower.poll(), say)
        time.sleep(_POLL_S)
    tell(follower.poll(), say)


def _show_records(kafka: Kafka, topic: str, say: Progress) -> None:
    records = read_records(kafka.plain, topic, limit=_SHOWN_RECORDS)
    say(f"the first records in topic {topic}:")
    for record in records:
        key = (record.key or b"").decode()
        print(f"  offset {record.offset}  key {key}  {(record.value or b'').decode()}")
    say(f"all of them: {own_command()} records {topic}")


def _summary(environment: Mapping[str, str]) -> str:
    shown = ("TYPE", "SYMBOL", "TIME_RANGE", "KAFKA_TOPIC")
    return "  ".join(f"{name}={environment[name]}" for name in shown if name in environment)
