"""The daemons' command lines and files: what keeps two stacks apart and the machine as it was."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from loadertask_devstack.cluster import daemons, dns
from loadertask_devstack.cluster.credentials import Credentials

PROGRAM = Path("/bin/program")
CREDENTIALS = Credentials(Path("/credentials"))


def test_an_api_server_for_tests_listens_on_loopback_only() -> None:
    command = daemons.loopback_apiserver(PROGRAM, CREDENTIALS, api_port=21000, etcd_port=22000)

    assert "--bind-address=127.0.0.1" in command
    assert "--secure-port=21000" in command
    assert "--etcd-servers=http://127.0.0.1:22000" in command


def test_the_store_listens_on_loopback_only() -> None:
    command = daemons.etcd(PROGRAM, Path("/data"), 22000, 23000)

    hosts = re.findall(r"http://([\d.]+):", " ".join(command))
    assert set(hosts) == {"127.0.0.1"}


@pytest.mark.parametrize("may_lower", [True, False])
def test_containerd_restricts_oom_scores_where_it_lacks_the_capability(may_lower: bool) -> None:
    text = daemons.containerd_config(
        Path("/root"), Path("/runtimes"), Path("/network"), may_lower_oom_score=may_lower
    )

    plugins = tomllib.loads(text)["plugins"]
    runtime = plugins["io.containerd.cri.v1.runtime"]
    assert runtime["restrict_oom_score_adj"] is not may_lower
    assert runtime["containerd"]["runtimes"]["runc"]["options"]["BinaryName"] == "/runtimes/runc"
    images = plugins["io.containerd.cri.v1.images"]
    assert images["pinned_images"]["sandbox"] == daemons.PAUSE_IMAGE


def test_pods_go_below_the_cgroup_of_the_stack() -> None:
    config = daemons.kubelet_config(
        CREDENTIALS, Path("/state"), cgroup="devstack-a", node_address="198.18.0.2"
    )

    assert config["cgroupRoot"] == "/devstack-a"
    assert config["address"] == "198.18.0.2"


def test_pods_ask_the_address_of_the_dns_service() -> None:
    config = daemons.kubelet_config(CREDENTIALS, Path("/"), cgroup="a", node_address="198.18.0.2")
    services = [item for item in dns.dns_objects("198.18.0.2") if item["kind"] == "Service"]

    assert config["clusterDNS"] == [service["spec"]["clusterIP"] for service in services]


def test_no_name_outside_the_cluster_is_asked_for_elsewhere() -> None:
    assert "forward" not in dns.dns_config(CREDENTIALS)


def test_no_proxy_of_the_machine_stands_between_the_daemons() -> None:
    environ = {"HTTPS_PROXY": "http://proxy", "http_proxy": "http://proxy", "PATH": "/bin"}

    assert daemons.environment(environ) == {"PATH": "/bin"}
