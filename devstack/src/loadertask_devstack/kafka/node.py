"""Prepares, launches and awaits one broker process. Knows nothing of access rights or topics."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from loadertask_devstack import processes
from loadertask_devstack.certificates import CertificateAuthority
from loadertask_devstack.errors import DevstackError
from loadertask_devstack.kafka.configuration import (
    CERTIFICATE_DNS_NAMES,
    KEYSTORE_NAME,
    node_properties,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from loadertask_devstack.kafka.configuration import NodeSettings
    from loadertask_devstack.kafka.java import Java
    from loadertask_devstack.processes import Process

PROCESS_NAME = "kafka"
START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 20.0

_READY = "Kafka Server started"
_FORMAT_TIMEOUT_S = 60


def prepare(java: Java, settings: NodeSettings, state: Path, passwords: Mapping[str, str]) -> None:
    """Write configuration and certificate; make the storage with its SCRAM users if it is new.

    Raises DevstackError where Kafka refuses to format the storage.
    """
    state.mkdir(parents=True, exist_ok=True)
    properties = state / "node.properties"
    properties.write_text(node_properties(settings, state))
    _write_keystore(settings, state / "certificates")
    if not (state / "data" / "meta.properties").exists():
        _format(java, properties, settings.cluster_id, passwords)


def launch(
    java: Java, directory: Path, state: Path, *, full_jit: bool, flags: Sequence[str] = ()
) -> Process:
    """Start the broker on formatted storage; it is not ready yet."""
    command = java.command(
        "kafka.Kafka", str(state / "node.properties"), full_jit=full_jit, flags=flags
    )
    return processes.start(directory, PROCESS_NAME, command)


def wait_until_ready(process: Process) -> None:
    """Wait for the broker to say that it has started: its ports are open before that.

    Raises DevstackError with the end of its log.
    """
    processes.wait_until(
        lambda: _READY in process.log.read_text(errors="replace"),
        START_TIMEOUT_S,
        "the Kafka broker says that it has started",
        process,
    )


def _write_keystore(settings: NodeSettings, directory: Path) -> None:
    is_new = not (directory / "ca.crt").exists()
    authority = (CertificateAuthority.create if is_new else CertificateAuthority.load)(directory)
    issued = authority.issue(
        "kafka",
        "kafka",
        dns_names=CERTIFICATE_DNS_NAMES,
        ip_addresses=settings.certificate_addresses,
    )
    parts = (issued.key, issued.certificate, authority.files.certificate)
    keystore = directory / KEYSTORE_NAME
    keystore.touch(mode=0o600)
    keystore.write_bytes(b"".join(part.read_bytes() for part in parts))


def _format(java: Java, properties: Path, cluster_id: str, passwords: Mapping[str, str]) -> None:
    users = [f"SCRAM-SHA-512=[name={user},password={word}]" for user, word in passwords.items()]
    options = [part for user in users for part in ("--add-scram", user)]
    command = java.command(
        "kafka.tools.StorageTool",
        *("format", "-t", cluster_id, "-c", str(properties), *options),
    )
    formatted = subprocess.run(
        command, capture_output=True, text=True, timeout=_FORMAT_TIMEOUT_S, check=False
    )
    if formatted.returncode != 0:
        raise DevstackError(
            f"Kafka's storage could not be formatted: {formatted.stderr.strip()[-2000:]}",
            f"remove {properties.parent} and start again",
        )
