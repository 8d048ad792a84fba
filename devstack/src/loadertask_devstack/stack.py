"""The name of one local system, and all that follows from it.

What two systems must not share: directories, network interfaces, a subnet, ports. Starts nothing,
writes nothing.
"""

from __future__ import annotations

import hashlib
import random
import re
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING

from loadertask_devstack.errors import DevstackError

if TYPE_CHECKING:
    from collections.abc import Mapping

CHECKOUT = Path(__file__).resolve().parents[3]

SERVICES = (
    "kubernetes-api",
    "etcd",
    "etcd-peer",
    "venue",
    "venue-control",
    "operator-health",
    "operator-metrics",
    "worker-metrics",
)
"""What may listen on a port that follows from the stack's name (Kafka records its own ports)."""

_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}[a-z0-9]")
_INTERFACE_STEM_LENGTH = 11  # the kernel allows 15 characters, our longest suffix takes 3
_BENCHMARK_NETWORK = IPv4Network("198.18.0.0/15")  # RFC 2544: never routed outside
_SUBNETS = _BENCHMARK_NETWORK.num_addresses // 4
# Below the kernel's ephemeral ports (32768 and up) and Kubernetes' node ports (30000 and up).
_DERIVED_PORTS = range(10_000, 20_000)
_FREE_PORTS = range(20_000, 30_000)


@dataclass(frozen=True)
class Stack:
    """One local system: its name and the directory of its state."""

    name: str
    directory: Path

    def __post_init__(self) -> None:
        """Refuse a name that could not be part of a host name; raises DevstackError."""
        if not _NAME.fullmatch(self.name):
            raise DevstackError(
                f"DEVSTACK_NAME is {self.name!r}, which is not a name of 2 to 32 characters "
                "a-z, 0-9 and '-', that begins with a letter and does not end with '-'",
                "set DEVSTACK_NAME to something like 'lt-mine', or unset it",
            )

    @property
    def host_interface(self) -> str:
        """The veth end that stays on the host."""
        return f"{self._interface_stem}-h"

    @property
    def node_interface(self) -> str:
        """The veth end that moves into the cluster's network namespace."""
        return f"{self._interface_stem}-n"

    @property
    def bridge(self) -> str:
        """The bridge of the pods, inside the cluster's network namespace."""
        return f"{self._interface_stem}-br"

    @property
    def subnet(self) -> IPv4Network:
        """A /30 between host and node, out of 198.18.0.0/15."""
        first = int(_BENCHMARK_NETWORK.network_address) + 4 * (self._digest % _SUBNETS)
        return IPv4Network((first, 30))

    @property
    def host_address(self) -> IPv4Address:
        """The host's end: where pods find Kafka and the venue replay."""
        return self.subnet[1]

    @property
    def node_address(self) -> IPv4Address:
        """The node's end: where the host finds the API server."""
        return self.subnet[2]

    def port(self, service: str) -> int:
        """The port of one of `SERVICES` in this stack; raises ValueError for another name."""
        slots = len(_DERIVED_PORTS) // len(SERVICES)
        first = _DERIVED_PORTS[self._digest % slots * len(SERVICES)]
        return first + SERVICES.index(service)

    @property
    def _interface_stem(self) -> str:
        if len(self.name) <= _INTERFACE_STEM_LENGTH:
            return self.name
        return f"lt{self._digest % 16**8:08x}"

    @property
    def _digest(self) -> int:
        return int.from_bytes(hashlib.sha256(self.name.encode()).digest()[:8], "big")


def cache_directory(environ: Mapping[str, str]) -> Path:
    """Where built binaries, jars, images and the state of stacks are kept, outside the checkout."""
    if home := environ.get("DEVSTACK_HOME"):
        return Path(home).expanduser().absolute()
    cache = environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache").absolute() / "loadertask-devstack"


def current_stack(environ: Mapping[str, str]) -> Stack:
    """The stack of DEVSTACK_NAME, else of this checkout; raises DevstackError for a bad name."""
    name = environ.get("DEVSTACK_NAME") or default_name(CHECKOUT)
    return Stack(name, cache_directory(environ) / "stacks" / name)


def default_name(checkout: Path) -> str:
    """`lt` and four hexadecimal digits that follow from the checkout's path."""
    return f"lt{hashlib.sha256(str(checkout).encode()).hexdigest()[:4]}"


def free_port() -> int:
    """A TCP port nobody listens on, outside the range the kernel hands out to connections.

    Out of that range nothing takes it by chance before its owner binds it, or while its owner
    restarts. Raises DevstackError when none is found.
    """
    for port in random.sample(_FREE_PORTS, 100):
        if is_free(port):
            return port
    raise DevstackError(
        f"no free TCP port among 100 tried in {_FREE_PORTS.start}-{_FREE_PORTS.stop - 1}",
        "end what listens there (`ss -tln` lists it)",
    )


def is_free(port: int) -> bool:
    """Whether a program could listen on that TCP port now."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("0.0.0.0", port))
        except OSError:
            return False
    return True
