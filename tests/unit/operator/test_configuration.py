from __future__ import annotations

import os
import subprocess
import sys

import pytest

from loadertask_contract.environment import SecurityProtocol
from loadertask_devstack.certificates import CertificateAuthority
from loadertask_operator.configuration import ConfigurationError, read_configuration

MINIMAL = {"KAFKA_BOOTSTRAP_SERVERS": "kafka:9093"}


def problems(**environment: str) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as raised:
        read_configuration(environment)
    return raised.value.problems


def test_the_brokers_are_enough_and_the_rest_has_the_defaults_of_the_design():
    configuration = read_configuration(MINIMAL | {"POD_NAMESPACE": "stf"})
    assert configuration.group_id == "loadertask-operator.stf"
    assert configuration.worker_kafka_servers == "kafka:9093"
    assert configuration.security_protocol is SecurityProtocol.PLAINTEXT
    assert configuration.watch_namespaces == ()
    assert (configuration.grace_s, configuration.resync_s, configuration.status_write_s) == (
        60,
        30,
        10,
    )
    assert configuration.queue_events_topic == "queue-events"


def test_an_empty_variable_counts_as_absent():
    assert read_configuration(MINIMAL | {"WORKER_KAFKA_SECRET": " "}).worker_kafka_secret is None


def test_namespaces_are_a_comma_separated_list():
    configuration = read_configuration(MINIMAL | {"WATCH_NAMESPACES": "a, b,"})
    assert configuration.watch_namespaces == ("a", "b")


@pytest.mark.parametrize(
    ("variables", "protocol"),
    [
        ({"KAFKA_USER": "u", "KAFKA_PASSWORD": "p"}, "SASL_SSL"),
        (
            {"KAFKA_USER": "u", "KAFKA_PASSWORD": "p", "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT"},
            "SASL_PLAINTEXT",
        ),
    ],
)
def test_the_protocol_is_derived_as_the_worker_derives_it(variables, protocol):
    assert read_configuration(MINIMAL | variables).security_protocol == protocol


def test_a_certificate_of_the_brokers_means_tls(tmp_path):
    ca = CertificateAuthority.create(tmp_path).files.certificate
    assert read_configuration(MINIMAL | {"CA_PATH": str(ca)}).security_protocol == "SSL"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka"),
        ("KAFKA_SECURITY_PROTOCOL", "TLS"),
        ("CA_PATH", "/there/is/no/ca.crt"),
        ("CA_PATH", __file__),
        ("WATCH_NAMESPACES", "Team_A/*"),
        ("WATCH_NAMESPACES", "a,-b"),
        ("HEALTH_PORT", "9090"),
        ("QUEUE_EVENTS_TOPIC", "a b"),
        ("GRACE_SECONDS", "-1"),
        ("GRACE_SECONDS", "soon"),
        ("RESYNC_SECONDS", "0"),
        ("BINANCE_API_URL", "api.binance.com"),
        ("METRICS_PORT", "99999"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
        ("LEADER_ELECTION", "perhaps"),
    ],
)
def test_a_bad_value_is_named_by_its_variable(variable, value):
    assert [p.split(":")[0] for p in problems(**(MINIMAL | {variable: value}))] == [variable]


def test_one_topic_for_events_and_commands_is_refused():
    (problem,) = problems(**MINIMAL, QUEUE_EVENTS_TOPIC="queue-control")
    assert problem.startswith("QUEUE_CONTROL_TOPIC: queue-control is QUEUE_EVENTS_TOPIC as well")


def test_all_problems_are_reported_at_once():
    found = problems(GRACE_SECONDS="x", LOG_LEVEL="x", KAFKA_USER="u")
    assert [p.split(":")[0] for p in found] == [
        "GRACE_SECONDS",
        "KAFKA_BOOTSTRAP_SERVERS",
        "KAFKA_PASSWORD",
        "LOG_LEVEL",
    ]


def test_a_password_is_in_no_message_and_no_repr():
    configuration = read_configuration(MINIMAL | {"KAFKA_USER": "u", "KAFKA_PASSWORD": "hush"})
    assert "hush" not in repr(configuration)
    assert not any("hush" in p for p in problems(KAFKA_PASSWORD="hush"))


def test_a_kubeconfig_that_is_not_yaml_is_told_in_one_line(tmp_path):
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text("a: b: [\n}")
    ended = subprocess.run(
        [sys.executable, "-m", "loadertask_operator"],
        env={"PATH": os.environ["PATH"], **MINIMAL, "KUBECONFIG": str(kubeconfig)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ended.returncode == 78
    assert "Traceback" not in ended.stderr
    assert ended.stderr.splitlines()[-1].startswith("configuration: KUBECONFIG: ")


@pytest.mark.parametrize(
    ("variables", "lines"),
    [
        ({"LOG_LEVEL": "loud"}, 2),
        (MINIMAL | {"KUBECONFIG": "/there/is/none", "HEALTH_PORT": "0", "METRICS_PORT": "0"}, 2),
    ],
)
def test_the_program_ends_with_78_and_without_a_traceback(variables, lines):
    ended = subprocess.run(
        [sys.executable, "-m", "loadertask_operator"],
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ended.returncode == 78
    assert len(ended.stderr.splitlines()) == lines, ended.stderr
    assert "Traceback" not in ended.stderr
