from __future__ import annotations

import dataclasses
from pathlib import Path

from loadertask_devstack.kafka.configuration import NodeSettings, node_properties

LOCAL = NodeSettings("cluster", 20001, 20002, 20003, 20004)
WITH_PODS = dataclasses.replace(LOCAL, host_address="198.18.0.1")


def properties(settings: NodeSettings) -> dict[str, str]:
    text = node_properties(settings, Path("/state"))
    return dict(line.split("=", 1) for line in text.splitlines())


def test_without_pods_every_listener_is_on_loopback() -> None:
    assert properties(LOCAL)["listeners"] == (
        "CONTROLLER://127.0.0.1:20001,PLAIN://127.0.0.1:20002,"
        "SECURE://127.0.0.1:20003,PODS://127.0.0.1:20004"
    )


def test_with_pods_only_their_listener_leaves_loopback() -> None:
    assert properties(WITH_PODS)["listeners"] == (
        "CONTROLLER://127.0.0.1:20001,PLAIN://127.0.0.1:20002,"
        "SECURE://127.0.0.1:20003,PODS://0.0.0.0:20004"
    )


def test_pods_are_told_the_platforms_name_and_this_machine_loopback() -> None:
    assert properties(WITH_PODS)["advertised.listeners"] == (
        "PLAIN://127.0.0.1:20002,SECURE://127.0.0.1:20003,PODS://kafka-bootstrap.kafka:9093"
    )


def test_only_the_loopback_listeners_are_without_login() -> None:
    protocols = properties(WITH_PODS)["listener.security.protocol.map"].split(",")
    assert protocols == [
        "CONTROLLER:PLAINTEXT",
        "PLAIN:PLAINTEXT",
        "SECURE:SASL_SSL",
        "PODS:SASL_SSL",
    ]


def test_both_secured_listeners_take_scram_sha_512_alone() -> None:
    for listener in ("secure", "pods"):
        prefix = f"listener.name.{listener}"
        assert properties(WITH_PODS)[f"{prefix}.sasl.enabled.mechanisms"] == "SCRAM-SHA-512"
        assert properties(WITH_PODS)[f"{prefix}.ssl.keystore.location"].startswith("/state/")


def test_nobody_may_do_what_no_acl_grants() -> None:
    assert properties(LOCAL)["allow.everyone.if.no.acl.found"] == "false"
    assert properties(LOCAL)["super.users"] == "User:ANONYMOUS"
    assert properties(LOCAL)["auto.create.topics.enable"] == "false"


def test_the_certificate_holds_loopback_and_the_pods_end_of_the_wire() -> None:
    assert LOCAL.certificate_addresses == ("127.0.0.1",)
    assert WITH_PODS.certificate_addresses == ("127.0.0.1", "198.18.0.1")


def test_clients_may_be_sent_to_a_proxy_in_front_of_the_secure_listener() -> None:
    behind = properties(dataclasses.replace(LOCAL, advertised_secure_port=30001))
    assert "SECURE://127.0.0.1:20003" in behind["listeners"]
    assert "SECURE://127.0.0.1:30001" in behind["advertised.listeners"]
