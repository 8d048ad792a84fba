from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loadertask_contract.environment import SecurityProtocol, WorkerEnvironment
from loadertask_devstack.certificates import CertificateAuthority
from loadertask_worker.errors import ConfigurationError
from loadertask_worker.kafka.security import kafka_access

GIVEN = {
    "QUEUE_ID": "wf-1",
    "SYMBOL": "BTCUSDT",
    "TYPE": "ws_trades",
    "KAFKA_TOPIC": "wf-1-data",
    "TELEMETRY_PRODUCER_ID": "loader__1",
}
USER = {"KAFKA_USER_PRODUCER": "loader", "KAFKA_PASSWORD_PRODUCER": "s3cret"}


def environment(**changes: Any) -> WorkerEnvironment:
    return WorkerEnvironment.model_validate({**GIVEN, **changes})


def test_a_user_logs_in_by_scram_over_tls(tmp_path: Path) -> None:
    ca = CertificateAuthority.create(tmp_path).files.certificate
    access = kafka_access(environment(CA_PATH=str(ca), **USER))
    options = access.client_options
    assert options["security_protocol"] == "SASL_SSL"
    assert options["sasl_mechanism"] == "SCRAM-SHA-512"
    assert (options["sasl_plain_username"], options["sasl_plain_password"]) == ("loader", "s3cret")
    assert access.ssl_context is not None
    assert access.ssl_context.check_hostname


def test_without_user_and_ca_nothing_is_encrypted() -> None:
    access = kafka_access(environment())
    assert (access.protocol, access.ssl_context) == (SecurityProtocol.PLAINTEXT, None)


def test_all_brokers_of_the_list_are_known() -> None:
    access = kafka_access(environment(KAFKA_BOOTSTRAP_SERVERS="a:1, b.c:2"))
    assert access.servers == (("a", 1), ("b.c", 2))


def test_no_text_of_it_holds_the_password() -> None:
    access = kafka_access(environment(KAFKA_SECURITY_PROTOCOL="SASL_PLAINTEXT", **USER))
    assert "s3cret" not in f"{access!r} {access}"


def test_a_ca_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"CA_PATH: /nowhere/ca.crt cannot be read"):
        kafka_access(environment(CA_PATH="/nowhere/ca.crt"))


def test_a_ca_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("hello")
    with pytest.raises(ConfigurationError, match=r"CA_PATH: .* holds no PEM certificate"):
        kafka_access(environment(CA_PATH=str(tmp_path / "ca.crt")))
