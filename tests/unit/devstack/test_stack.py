from __future__ import annotations

import socket
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from loadertask_devstack.errors import DevstackError
from loadertask_devstack.stack import (
    SERVICES,
    Stack,
    cache_directory,
    current_stack,
    default_name,
    free_port,
)

NAMES = ["lt", "lt1a2b", "elevenchars", "a-name-of-twelve", "the-longest-name-that-is-allowed"]


def stack(name: str) -> Stack:
    return Stack(name, Path("/state") / name)


@pytest.mark.parametrize("name", NAMES)
def test_interface_names_differ_and_fit_the_kernel(name: str) -> None:
    names = {stack(name).bridge, stack(name).host_interface, stack(name).node_interface}
    assert len(names) == 3
    assert all(len(interface) <= 15 for interface in names)


def test_long_names_with_the_same_beginning_get_different_interfaces() -> None:
    assert stack("loadertask-test-a").bridge != stack("loadertask-test-b").bridge


@pytest.mark.parametrize("name", NAMES)
def test_host_and_node_share_a_subnet_of_the_benchmark_network(name: str) -> None:
    network = stack(name).subnet
    assert network.prefixlen == 30
    assert network.subnet_of(IPv4Network("198.18.0.0/15"))
    assert [*network.hosts()] == [stack(name).host_address, stack(name).node_address]


def test_values_follow_from_the_name_alone() -> None:
    one, other = Stack("lt1a2b", Path("/one")), Stack("lt1a2b", Path("/other"))
    assert one.subnet == other.subnet
    assert one.port("venue") == other.port("venue")
    assert one.subnet != stack("lt1a2c").subnet


@pytest.mark.parametrize("name", NAMES)
def test_every_service_has_a_port_of_its_own_below_the_ephemeral_ones(name: str) -> None:
    ports = {stack(name).port(service) for service in SERVICES}
    assert len(ports) == len(SERVICES)
    assert all(10_000 <= port < 20_000 for port in ports)


def test_an_unknown_service_has_no_port() -> None:
    with pytest.raises(ValueError):
        stack("lt").port("nonsense")


@pytest.mark.parametrize("name", ["", "L", "x", "Upper", "1st", "under_score", "end-", "a" * 33])
def test_a_bad_name_is_refused_with_what_to_set(name: str) -> None:
    with pytest.raises(DevstackError, match="DEVSTACK_NAME") as refusal:
        stack(name)
    assert "set DEVSTACK_NAME" in refusal.value.remedy


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"DEVSTACK_HOME": "/a", "XDG_CACHE_HOME": "/b"}, Path("/a")),
        ({"XDG_CACHE_HOME": "/b"}, Path("/b/loadertask-devstack")),
        ({}, Path.home() / ".cache/loadertask-devstack"),
    ],
)
def test_cache_directory_follows_the_environment(environ: dict[str, str], expected: Path) -> None:
    assert cache_directory(environ) == expected


def test_the_stack_takes_its_name_from_the_environment() -> None:
    named = current_stack({"DEVSTACK_HOME": "/cache", "DEVSTACK_NAME": "mine"})
    assert named == Stack("mine", Path("/cache/stacks/mine"))


def test_without_a_name_each_checkout_has_a_stack_of_its_own() -> None:
    assert default_name(Path("/one")) != default_name(Path("/other"))
    assert current_stack({}).name.startswith("lt")


def test_a_free_port_can_be_bound_and_is_not_an_ephemeral_one() -> None:
    port = free_port()
    assert 20_000 <= port < 30_000
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", port))
