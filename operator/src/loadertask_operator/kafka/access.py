"""How the operator gets at the brokers, as arguments for aiokafka's clients."""

from __future__ import annotations

import ssl
from typing import Any

from loadertask_contract.environment import SecurityProtocol
from loadertask_operator.configuration import Configuration

REQUEST_TIMEOUT_MS = 10_000


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
