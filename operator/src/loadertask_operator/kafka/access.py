"""How the operator gets at the brokers, as arguments for aiokafka's clients."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from aiokafka.conn import create_conn
from aiokafka.errors import KafkaError

from loadertask_contract.environment import SecurityProtocol
from loadertask_operator.configuration import Configuration

REQUEST_TIMEOUT_MS = 10_000
_CONNECT_S = 10.0


def client_arguments(configuration: Configuration) -> dict[str, Any]:
    """Arguments that consumer and producer share."""
    protocol = configuration.security_protocol
    arguments: dict[str, Any] = {
        "bootstrap_servers": [s.strip() for s in configuration.kafka_bootstrap_servers.split(",")],
        "client_id": configuration.pod_name,
        "security_protocol": protocol.value,
        "request_timeout_ms": REQUEST_TIMEOUT_MS,
    }
    if protocol in {SecurityProtocol.SSL, SecurityProtocol.SASL_SSL}:
        arguments["ssl_context"] = ssl.create_default_context(cafile=configuration.ca_path)
    if protocol.value.startswith("SASL_"):
        password = configuration.kafka_password
        arguments |= {
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": configuration.kafka_user,
            "sasl_plain_password": password.get_secret_value() if password else None,
        }
    return arguments


async def why_unreachable(arguments: dict[str, Any]) -> str | None:
    """Why the first broker that does not let us in does not; aiokafka's clients never say it."""
    options = {name: value for name, value in arguments.items() if name != "bootstrap_servers"}
    for server in arguments.get("bootstrap_servers", ()):
        host, _, port = server.rpartition(":")
        try:
            async with asyncio.timeout(_CONNECT_S):
                connection = await create_conn(host.strip("[]"), int(port), **options)
        except (KafkaError, OSError, TimeoutError) as error:
            return f"{server}: {type(error).__name__}: {error}"
        connection.close()
    return None


def first_of(group: BaseExceptionGroup[BaseException]) -> str:
    """The first error of those that ended a session."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"
