"""Debian packages: what is missing is found by what it brings, and told or installed."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from loadertask_devstack import prerequisites
from loadertask_devstack.errors import DevstackError

if TYPE_CHECKING:
    from pathlib import Path


def test_programs_are_sought_in_the_path_and_files_where_they_belong(tmp_path: Path) -> None:
    present = tmp_path / "header.h"
    present.touch()

    missing = prerequisites.missing_packages(
        [
            ("sh", "dash"),
            (str(present), "libhere-dev"),
            ("no-such-program", "b-package"),
            (str(tmp_path / "absent.h"), "a-package"),
            ("no-such-program-either", "a-package"),
        ]
    )

    assert missing == ["a-package", "b-package"]


def test_programs_of_root_are_found_though_the_path_of_a_user_lacks_their_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    assert prerequisites.missing_packages([("useradd", "passwd"), ("mount", "mount")]) == []


def test_who_is_not_root_is_told_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(DevstackError, match=r"sudo apt-get install .* some-package"):
        prerequisites.ensure_packages({"no-such-program": "some-package"})


def test_nothing_is_run_when_nothing_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    said: list[str] = []

    prerequisites.ensure_packages({"sh": "dash"}, progress=said.append)

    assert said == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root installs packages")
@pytest.mark.parametrize(
    ("script", "message"),
    [
        (
            "echo 'E: Unable to locate package'; exit 100",
            "(?s)ended with 100:\nE: Unable to locate",
        ),
        ("exit 0", "installed, yet what they should bring is not there: some-package"),
    ],
)
def test_a_failed_installation_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, message: str
) -> None:
    apt = tmp_path / "apt-get"
    apt.write_text(f"#!/bin/sh\n{script}\n")
    apt.chmod(apt.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    with pytest.raises(DevstackError, match=message):
        prerequisites.ensure_packages({"no-such-program": "some-package"})
