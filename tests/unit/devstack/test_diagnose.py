from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from loadertask_devstack.diagnose import collected

if TYPE_CHECKING:
    from pathlib import Path

# Stands in for kubectl: lists three pods, and repeats its arguments otherwise.
KUBECTL = """#!/bin/sh
case "$*" in
    *custom-columns*)
        echo "default   steady    0"
        echo "default   crashing  0,2"
        echo "default   pending   <none>" ;;
    *events*) echo "error: no such thing" >&2; exit 1 ;;
    *) shift 3; echo "called: $*" ;;
esac
"""


@pytest.fixture
def kubectl(tmp_path: Path) -> str:
    program = tmp_path / "kubectl"
    program.write_text(KUBECTL)
    program.chmod(0o755)
    return str(program)


def write_log(directory: Path, name: str, text: str) -> None:
    log = directory / "logs" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(text)


def test_the_end_of_every_log_is_shown_under_its_name(tmp_path: Path) -> None:
    write_log(tmp_path, "kafka", "".join(f"line {number}\n" for number in range(1000)))
    write_log(tmp_path / "cluster", "kubelet", "cgroups are missing\n")
    text = collected(tmp_path)
    assert "logs/kafka.log" in text
    assert "line 999" in text
    assert "line 900\n" not in text
    assert "cluster/logs/kubelet.log" in text
    assert "cgroups are missing" in text


def test_nothing_started_is_said(tmp_path: Path) -> None:
    assert "nothing was started" in collected(tmp_path)


def test_objects_and_the_logs_of_every_pod_are_shown(tmp_path: Path, kubectl: str) -> None:
    text = collected(tmp_path, tmp_path / "kubeconfig", kubectl)
    assert "called: get loadertasks --all-namespaces --output=yaml" in text
    assert "called: get jobs,pods" in text
    for pod in ("steady", "crashing", "pending"):
        assert f"called: logs {pod} --namespace=default --all-containers" in text


def test_only_a_restarted_pod_is_asked_for_its_log_before(tmp_path: Path, kubectl: str) -> None:
    text = collected(tmp_path, tmp_path / "kubeconfig", kubectl)
    titles = [line for line in text.splitlines() if line.endswith("before its restart")]
    assert titles == ["=== pod default/crashing before its restart"]


def test_what_a_command_says_when_it_fails_is_shown(tmp_path: Path, kubectl: str) -> None:
    assert "error: no such thing" in collected(tmp_path, tmp_path / "kubeconfig", kubectl)


def test_a_missing_kubectl_does_not_hide_the_logs(tmp_path: Path) -> None:
    write_log(tmp_path, "kafka", "a clue\n")
    text = collected(tmp_path, tmp_path / "kubeconfig", str(tmp_path / "no-kubectl"))
    assert "a clue" in text
    assert "cannot be had" in text
