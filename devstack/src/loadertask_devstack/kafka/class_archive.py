"""Lets Java keep the classes that a broker loads (CDS), which makes later starts fast."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from loadertask_devstack.kafka import node
from loadertask_devstack.kafka.state import new_settings
from loadertask_devstack.lock import exclusive_lock
from loadertask_devstack.progress import elapsed

if TYPE_CHECKING:
    from loadertask_devstack.kafka.java import Java
    from loadertask_devstack.progress import Progress

_ARCHIVE_TIMEOUT_S = 60.0


def train(java: Java, progress: Progress) -> None:
    """Make the class archive, unless it is there: once per machine and Java version.

    A broker runs for that on storage of its own, and writes the archive as it ends.
    """
    with exclusive_lock(java.class_archive.with_suffix(".lock")):
        if java.class_archive.exists():
            return
        draft = java.class_archive.with_suffix(".draft")
        draft.unlink(missing_ok=True)
        with elapsed(progress, "Kafka: a first run that makes later starts fast, once per machine"):
            _run_once(java, [f"-XX:ArchiveClassesAtExit={draft}"])
        if draft.exists():
            draft.rename(java.class_archive)


def _run_once(java: Java, flags: list[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="kafka-training-") as place:
        directory = Path(place)
        node.prepare(java, new_settings(), directory, {"trainee": "trainee"})
        broker = node.launch(java, directory, directory, full_jit=False, flags=flags)
        try:
            node.wait_until_ready(broker)
        finally:
            broker.stop(_ARCHIVE_TIMEOUT_S)
