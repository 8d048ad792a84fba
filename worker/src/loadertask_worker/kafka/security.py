"""How to log in to Kafka: connection settings from the environment, read once."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loadertask_contract.environment import SecurityProtocol
from loadertask_worker.errors import ConfigurationError

if TYPE_CHECKING:
    from loadertask_contract.environment import WorkerEnvironment

SASL_MECHANISM = "SCRAM-SHA-512"


@dataclass(frozen=True, slots=True, repr=False)
class KafkaAccess:
    """Where the brokers are and who we are to them. Holds a password: it has no ``repr``."""

    servers: tuple[tuple[str, int], ...]
    protocol: SecurityProtocol
    ssl_context: ssl.SSLContext | None
    user: str | None
    password: str | None
    client_id: str

    @property
    def client_options(self) -> dict[str, Any]:
        """The keyword arguments that aiokafka's producer and consumer share."""
        return {
            "bootstrap_servers": [f"{host}:{port}" for host, port in self.servers],
            **self.connection_options,
        }

    @property
    def connection_options(self) -> dict[str, Any]:
        """The keyword arguments of a single connection."""
        return {
            "client_id": self.client_id,
            "security_protocol": self.protocol.value,
            "ssl_context": self.ssl_context,
            "sasl_mechanism": SASL_MECHANISM,
            "sasl_plain_username": self.user,
            "sasl_plain_password": self.password,
        }


def kafka_access(environment: WorkerEnvironment) -> KafkaAccess:
    """The settings of an environment.

    Raises:
        ConfigurationError: the CA file cannot be read or is none.

    """
    protocol = environment.security_protocol
    uses_tls = protocol in (SecurityProtocol.SSL, SecurityProtocol.SASL_SSL)
    password = environment.kafka_password
    return KafkaAccess(
        servers=tuple(map(_server, environment.kafka_bootstrap_servers.split(","))),
        protocol=protocol,
        ssl_context=_ssl_context(environment.ca_path) if uses_tls else None,
        user=environment.kafka_user,
        password=password.get_secret_value() if password else None,
        client_id=environment.producer_id,
    )


def _server(text: str) -> tuple[str, int]:
    host, _, port = text.strip().rpartition(":")
    return host, int(port)


def _ssl_context(ca_path: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_path)
    except ssl.SSLError as error:
        raise ConfigurationError.of("CA_PATH", f"{ca_path} holds no PEM certificate") from error
    except OSError as error:
        message = f"{ca_path} cannot be read: {error.strerror}"
        raise ConfigurationError.of("CA_PATH", message) from error
