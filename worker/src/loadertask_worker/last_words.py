"""The termination log: the last event where Kubernetes finds it, also with Kafka down."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from loadertask_contract.termination import encode_termination

if TYPE_CHECKING:
    from loadertask_contract.events import Event

# The default terminationMessagePath of a container; the kubelet creates the file.
TERMINATION_LOG = Path("/dev/termination-log")


def write_last_words(event: Event, path: Path = TERMINATION_LOG) -> None:
    """Write where there is such a file; elsewhere there is nobody to read it."""
    with suppress(OSError):
        if path.exists():
            path.write_bytes(encode_termination(event))
