from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from loadertask_devstack.errors import DevstackError
from loadertask_devstack.kafka import jars

if TYPE_CHECKING:
    from pathlib import Path

# Stands in for Maven: writes what a test wants where copy-dependencies would.
MAVEN = """#!/bin/sh
for argument in "$@"; do
    case "$argument" in -DoutputDirectory=*) out="${argument#*=}" ;; esac
done
echo called >> "$CALLS"
"""


@pytest.fixture
def toolchain(tmp_path: Path) -> Path:
    directory = tmp_path / "toolchain"
    directory.mkdir()
    (directory / "pom.xml").write_text("<project/>")
    (directory / "jars.sha256").write_text(f"{hashlib.sha256(b'good').hexdigest()}  a.jar\n")
    return directory


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "calls"
    monkeypatch.setenv("CALLS", str(file))
    return file


def install_maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = tmp_path / "bin" / "mvn"
    program.parent.mkdir()
    program.write_text(MAVEN + script)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")


def silent(message: str) -> None: ...


def test_jars_are_fetched_once(
    tmp_path: Path, toolchain: Path, calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_maven(tmp_path, monkeypatch, 'printf good > "$out/a.jar"')
    first = jars.fetched(tmp_path / "cache", silent, toolchain)
    assert [file.name for file in first.iterdir()] == ["a.jar"]
    assert jars.fetched(tmp_path / "cache", silent, toolchain) == first
    assert calls.read_text() == "called\n"


def test_another_pom_means_another_directory(
    tmp_path: Path, toolchain: Path, calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_maven(tmp_path, monkeypatch, 'printf good > "$out/a.jar"')
    first = jars.fetched(tmp_path / "cache", silent, toolchain)
    (toolchain / "pom.xml").write_text("<project>other</project>")
    assert jars.fetched(tmp_path / "cache", silent, toolchain) != first


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("echo no route to the repository; exit 1", "no route to the repository"),
        ('printf bad > "$out/a.jar"', r"jars\.sha256 lists: a\.jar"),
        ('printf good > "$out/a.jar"; printf x > "$out/b.jar"', r"jars\.sha256 lists: b\.jar"),
        ("true", r"jars\.sha256 lists: a\.jar"),
    ],
)
def test_a_failed_fetch_tells_why_and_leaves_nothing(
    tmp_path: Path,
    toolchain: Path,
    calls: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    told: str,
) -> None:
    install_maven(tmp_path, monkeypatch, script)
    with pytest.raises(DevstackError, match=told):
        jars.fetched(tmp_path / "cache", silent, toolchain)
    assert [entry for entry in (tmp_path / "cache" / "kafka").iterdir() if entry.is_dir()] == []


def test_a_missing_maven_is_told_with_how_to_get_it(
    tmp_path: Path, toolchain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DevstackError, match="mvn") as refusal:
        jars.fetched(tmp_path / "cache", silent, toolchain)
    assert "apt-get install maven" in refusal.value.remedy


def test_the_committed_digests_name_the_broker() -> None:
    listed = (jars.TOOLCHAIN / "jars.sha256").read_text()
    assert "  kafka_2.13-4.3.1.jar" in listed
