"""What one broker is configured with: its settings, and node.properties made of them.

Pure: renders text, writes no file, starts nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

POD_BOOTSTRAP = "kafka-bootstrap.kafka:9093"
"""Where pods find the broker: the name it has on the platform."""

KEYSTORE_NAME = "keystore.pem"

CERTIFICATE_DNS_NAMES = (
    "localhost",
    "kafka-bootstrap.kafka",
    "kafka-bootstrap.kafka.svc",
    "kafka-bootstrap.kafka.svc.cluster.local",
)


@dataclass(frozen=True)
class NodeSettings:
    """What a broker keeps over restarts."""

    cluster_id: str
    controller_port: int
    plain_port: int
    secure_port: int
    pods_port: int
    host_address: str | None = None
    """The address by which pods reach this machine; None: nobody but this machine is let in."""
    full_jit: bool = False
    advertised_secure_port: int | None = None
    """Where clients of SECURE are sent to, where that is not its own port: a proxy of a test."""

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports of all listeners."""
        return (self.controller_port, self.plain_port, self.secure_port, self.pods_port)

    @property
    def certificate_addresses(self) -> tuple[str, ...]:
        """The addresses that the broker's certificate holds."""
        return ("127.0.0.1", *((self.host_address,) if self.host_address else ()))


def node_properties(settings: NodeSettings, state: Path) -> str:
    """node.properties of a single node in KRaft combined mode, with its data under `state`."""
    properties = {
        **_listeners(settings),
        **_secured_listener("secure", state),
        **_secured_listener("pods", state),
        **_STATIC,
        "controller.quorum.voters": f"1@127.0.0.1:{settings.controller_port}",
        "log.dirs": str(state / "data"),
    }
    return "".join(f"{key}={value}\n" for key, value in properties.items())


def _listeners(settings: NodeSettings) -> dict[str, str]:
    # Bound to every address, for the pods' end of the wire may appear after the broker.
    pods_host = "0.0.0.0" if settings.host_address else "127.0.0.1"
    return {
        "listeners": ",".join(
            [
                f"CONTROLLER://127.0.0.1:{settings.controller_port}",
                f"PLAIN://127.0.0.1:{settings.plain_port}",
                f"SECURE://127.0.0.1:{settings.secure_port}",
                f"PODS://{pods_host}:{settings.pods_port}",
            ]
        ),
        "advertised.listeners": ",".join(
            [
                f"PLAIN://127.0.0.1:{settings.plain_port}",
                f"SECURE://127.0.0.1:{settings.advertised_secure_port or settings.secure_port}",
                f"PODS://{POD_BOOTSTRAP}",
            ]
        ),
        "listener.security.protocol.map": (
            "CONTROLLER:PLAINTEXT,PLAIN:PLAINTEXT,SECURE:SASL_SSL,PODS:SASL_SSL"
        ),
    }


def _secured_listener(name: str, state: Path) -> dict[str, str]:
    prefix = f"listener.name.{name}"
    return {
        f"{prefix}.sasl.enabled.mechanisms": "SCRAM-SHA-512",
        f"{prefix}.scram-sha-512.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        ),
        f"{prefix}.ssl.keystore.type": "PEM",
        f"{prefix}.ssl.keystore.location": str(state / "certificates" / KEYSTORE_NAME),
    }


_STATIC = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAIN",
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS",
    "allow.everyone.if.no.acl.found": "false",
    "auto.create.topics.enable": "false",
    # One node is the whole cluster.
    "default.replication.factor": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    # Ready soon, small, and let in again soon after `kill -9` (the old session must end first).
    "group.initial.rebalance.delay.ms": "0",
    "log.cleaner.dedupe.buffer.size": "2097152",
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "300",
}
