"""Where a cluster comes from, and what is said where one cannot be had."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING

import pytest

from loadertask_devstack.cluster import built, clients, existing, kind, providers
from loadertask_devstack.errors import DevstackError
from loadertask_devstack.progress import silent
from loadertask_devstack.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NETWORK = json.dumps(
    [{"IPAM": {"Config": [{"Gateway": "fc00:f853:ccd:e793::1"}, {"Gateway": "172.18.0.1"}]}}]
)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Makes a program of that name out of a shell script, in a PATH that has nothing else."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def add(name: str, script: str) -> None:
        program = folder / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    return add


def test_a_cluster_that_is_named_goes_before_all_others(
    install: Callable[[str, str], None],
) -> None:
    install("kind", "exit 0")
    install("docker", "exit 0")

    assert providers.chosen_provider({"DEVSTACK_KUBECONFIG": "/some/config"}) == "existing"


@pytest.mark.parametrize(
    ("programs", "provider"),
    [
        ({}, "built"),
        ({"docker": "exit 0"}, "built"),
        ({"kind": "exit 0"}, "built"),
        ({"kind": "exit 0", "docker": "echo 'Cannot connect' >&2; exit 1"}, "built"),
        ({"kind": "exit 0", "docker": "exit 0"}, "kind"),
    ],
)
def test_kind_is_taken_where_it_is_there_and_a_docker_daemon_answers(
    install: Callable[[str, str], None], programs: dict[str, str], provider: str
) -> None:
    for name, script in programs.items():
        install(name, script)

    assert providers.chosen_provider({}) == provider


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"DEVSTACK_KUBECONFIG": "/no/such/file"}, "DEVSTACK_KUBECONFIG is /no/such/file"),
        ({"DEVSTACK_KUBECONFIG": "/dev/null"}, "DEVSTACK_KUBECONFIG is /dev/null"),
        ({"DEVSTACK_KUBECONFIG": __file__}, "set DEVSTACK_HOST_ADDRESS to the IPv4 address"),
    ],
)
def test_a_badly_described_cluster_is_told_by_its_variable(
    environ: dict[str, str], message: str
) -> None:
    with pytest.raises(DevstackError, match=message):
        existing.connect(environ)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (None, "set DEVSTACK_LOAD_IMAGE to a command"),
        ("sh -c 'echo no such cluster >&2; exit 3'", "ended with 3: no such cluster"),
    ],
)
def test_images_reach_a_named_cluster_by_the_command_that_is_set(
    tmp_path: Path, command: str | None, message: str
) -> None:
    environ = {"DEVSTACK_KUBECONFIG": __file__, "DEVSTACK_HOST_ADDRESS": "192.0.2.1"}
    cluster = existing.connect(environ | ({"DEVSTACK_LOAD_IMAGE": command} if command else {}))

    with pytest.raises(DevstackError, match=message):
        cluster.load_image(tmp_path / "image.tar")


def test_a_kind_cluster_is_created_found_and_deleted_by_the_name_of_the_stack(
    tmp_path: Path, install: Callable[[str, str], None]
) -> None:
    log, stack = tmp_path / "log", Stack("lt-unit", tmp_path / "stack")
    kubeconfig = stack.directory / "kind.kubeconfig"
    answers = f"case $1 in create) : > {kubeconfig};; get) echo lt-unit;; esac"
    install("kind", f"echo kind $* >> {log}; {answers}")
    install("docker", f"case $1 in network) echo '{NETWORK}';; esac")

    created = kind.start(stack, silent)

    assert created.host_address == "172.18.0.1"
    assert kind.find(stack) is not None
    kind.stop(stack)
    assert kind.find(stack) is None
    told = log.read_text()
    assert f"kind create cluster --name=lt-unit --kubeconfig={kubeconfig}" in told
    assert f"kind delete cluster --name=lt-unit --kubeconfig={kubeconfig}" in told


def test_a_network_without_ipv4_is_told() -> None:
    network = json.dumps([{"IPAM": {"Config": [{"Gateway": "fc00:f853:ccd:e793::1"}]}}])

    with pytest.raises(DevstackError, match="no IPv4 gateway"):
        kind.gateway(network)


def test_who_is_not_root_is_told_what_else_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(DevstackError, match=r"(?s)needs root.*kind.*DEVSTACK_KUBECONFIG"):
        built.start(Stack("lt-unit", tmp_path), silent)


def test_a_stop_of_what_never_ran_needs_no_program(
    tmp_path: Path, install: Callable[[str, str], None]
) -> None:
    providers.stop(Stack("lt-unit", tmp_path / "stack"))

    assert providers.find(Stack("lt-unit", tmp_path / "stack")) is None


def test_a_service_to_this_machine_has_one_endpoint_and_no_selector() -> None:
    namespace, service, slice_ = clients.service_objects("198.18.0.1", "kafka", "k", 9093, 21000)

    assert namespace["metadata"] == {"name": "kafka"}
    assert "selector" not in service["spec"]
    assert service["spec"]["ports"] == [{"name": "tcp", "port": 9093, "targetPort": 21000}]
    assert slice_["metadata"]["labels"]["kubernetes.io/service-name"] == "k"
    assert slice_["endpoints"][0]["addresses"] == ["198.18.0.1"]
    assert slice_["ports"] == [{"name": "tcp", "port": 21000, "protocol": "TCP"}]
