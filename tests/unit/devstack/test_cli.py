from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from loadertask_devstack import cli, system
from loadertask_devstack.errors import DevstackError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_failure_is_told_in_words_with_its_remedy_and_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise DevstackError("there is no Java", "apt-get install openjdk-17-jre-headless")

    monkeypatch.setattr(system, "start", fail)
    assert cli.main(["up"]) == 1
    told = capsys.readouterr().err
    assert "there is no Java" in told
    assert "apt-get install" in told
    assert "Traceback" not in told


def test_env_without_a_cluster_says_how_to_start_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("DEVSTACK_HOME", str(tmp_path))
    monkeypatch.setenv("DEVSTACK_NAME", "nobody-runs-this")
    monkeypatch.delenv("DEVSTACK_KUBECONFIG", raising=False)
    assert cli.main(["env"]) == 1
    assert "make up" in capsys.readouterr().err


def test_the_help_is_for_users(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    told = capsys.readouterr().out
    assert told.startswith("usage: python -m loadertask_devstack ")
    assert "Kafka, a replay of the venue and Kubernetes" in told
    assert "exit codes" not in told


def test_the_records_of_a_broker_that_does_not_run_are_not_looked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("DEVSTACK_HOME", str(tmp_path))
    assert cli.main(["records", "topic"]) == 1
    assert "no Kafka runs for this checkout" in capsys.readouterr().err


def test_try_with_a_missing_manifest_fails_before_anything_is_started(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("DEVSTACK_HOME", str(tmp_path))
    assert cli.main(["try", str(tmp_path / "nowhere.yaml")]) == 1
    assert "nowhere.yaml" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
