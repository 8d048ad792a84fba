"""Brings one broker up and takes it down: the way of the whole package, step by step.

Each broker lives in a directory of its own with ports of its own, which it keeps over restarts.
"""

from __future__ import annotations

import dataclasses
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loadertask_devstack import processes
from loadertask_devstack.errors import DevstackError
from loadertask_devstack.kafka import access, class_archive, jars, node, state, topics
from loadertask_devstack.kafka.java import find_java
from loadertask_devstack.lock import exclusive_lock
from loadertask_devstack.stack import cache_directory, is_free

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from loadertask_devstack.kafka.configuration import NodeSettings
    from loadertask_devstack.kafka.java import Java
    from loadertask_devstack.processes import Process
    from loadertask_devstack.progress import Progress


@dataclass(frozen=True)
class Kafka:
    """A running broker and how to reach it."""

    directory: Path
    plain: str
    """Bootstrap address without login, as superuser: for tests and the devstack alone."""
    secure: str
    """Bootstrap address on this machine with SASL_SSL, SCRAM-SHA-512."""
    pods_port: int
    """The port at this machine's end of the wire that `POD_BOOTSTRAP` leads to."""
    pid: int

    @property
    def ca_path(self) -> Path:
        """The CA that the broker's certificate is verified with."""
        return _state(self.directory) / "certificates" / "ca.crt"

    def password(self, user: str) -> str:
        """The SCRAM password of one of our users; raises DevstackError for another."""
        return state.password(_state(self.directory), user)


def prepare(progress: Progress = print) -> Java:
    """Fetch and make what is kept between runs, once per machine; the Java to run a broker with.

    Raises DevstackError without Java or Maven.
    """
    java = find_java(jars.fetched(cache_directory(os.environ), progress), os.environ)
    class_archive.train(java, progress)
    return java


def start(
    directory: Path,
    *,
    host_address: str | None = None,
    full_jit: bool = False,
    advertised_secure_port: int | None = None,
    progress: Progress = print,
) -> Kafka:
    """A ready broker with the platform's users, ACLs and topics; started unless it runs.

    What was asked for once (`host_address`, `full_jit`, `advertised_secure_port`) holds for later
    starts too; asking for more restarts a running broker on the same ports with the same records.
    Raises DevstackError.
    """
    with exclusive_lock(_state(directory) / "lock"):
        kept = state.load_settings(_state(directory))
        settings = _widened(
            kept or state.new_settings(),
            host_address=host_address,
            full_jit=full_jit or None,
            advertised_secure_port=advertised_secure_port,
        )
        process = processes.find(directory, node.PROCESS_NAME)
        if process and settings != kept:
            process.stop(node.STOP_TIMEOUT_S)
            process = None
        if process is None:
            process = _launch(directory, settings, progress)
        node.wait_until_ready(process)
        kafka = _kafka(directory, settings, process)
        access.add_rules(kafka.plain, access.platform_rules())
        topics.create_platform_topics(kafka.plain)
        return kafka


def find(directory: Path) -> Kafka | None:
    """The broker that runs in the directory; None where none does."""
    settings = state.load_settings(_state(directory))
    process = processes.find(directory, node.PROCESS_NAME)
    return _kafka(directory, settings, process) if settings and process else None


def stop(directory: Path) -> None:
    """End the broker in order; its records, users and ports stay for the next start."""
    if process := processes.find(directory, node.PROCESS_NAME):
        process.stop(node.STOP_TIMEOUT_S)


def kill(directory: Path) -> None:
    """End the broker at once (KILL), as a crash would; `start` brings it back."""
    if process := processes.find(directory, node.PROCESS_NAME):
        process.kill()


@contextmanager
def running_kafka(
    directory: Path, *, full_jit: bool = False, advertised_secure_port: int | None = None
) -> Iterator[Kafka]:
    """A broker for the block, stopped at its end."""
    try:
        yield start(directory, full_jit=full_jit, advertised_secure_port=advertised_secure_port)
    finally:
        stop(directory)


def _launch(directory: Path, settings: NodeSettings, progress: Progress) -> Process:
    java = prepare(progress)
    progress("Kafka: starting the broker")
    place = _state(directory)
    _require_free_ports(settings, place)
    state.save_settings(place, settings)
    node.prepare(java, settings, place, state.settled_passwords(place))
    return node.launch(java, directory, place, full_jit=settings.full_jit)


def _require_free_ports(settings: NodeSettings, place: Path) -> None:
    taken = [port for port in settings.ports if not is_free(port)]
    if taken:
        raise DevstackError(
            f"another program listens on Kafka's port {', '.join(map(str, taken))}",
            f"end it (`ss -tlnp` names it), or remove {place} for new ports and no records",
        )


def _widened(settings: NodeSettings, **asked: str | int | None) -> NodeSettings:
    changes: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    return dataclasses.replace(settings, **changes)


def _kafka(directory: Path, settings: NodeSettings, process: Process) -> Kafka:
    return Kafka(
        directory=directory,
        plain=f"127.0.0.1:{settings.plain_port}",
        secure=f"127.0.0.1:{settings.secure_port}",
        pods_port=settings.pods_port,
        pid=process.pid,
    )


def _state(directory: Path) -> Path:
    return directory / "kafka"
