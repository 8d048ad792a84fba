"""Building the Go programs: what is built once, what is never taken for complete."""

from __future__ import annotations

import shutil
import stat
import threading
from typing import TYPE_CHECKING

import pytest

from loadertask_devstack import toolchain
from loadertask_devstack.errors import DevstackError

if TYPE_CHECKING:
    from pathlib import Path

FAKE_GO = """\
#!/bin/sh
[ "$1" = version ] && { echo 'go version go1.26.8 linux/amd64'; exit; }
echo run >> "$RUNS"
while [ $# -gt 0 ]; do
    case "$1" in -o) output=$2; shift ;; */v[0-9]) touch "$output/$(basename "${1%/*}")" ;;
        *.*/*|./*) touch "$output/$(basename "$1")" ;; esac
    shift
done
echo 'a/package'
exit "${STATUS:-0}"
"""


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a `go` into PATH that makes empty programs; the file gets a line for each build."""
    program = tmp_path / "go-bin" / "go"
    program.parent.mkdir()
    program.write_text(FAKE_GO)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    counter = tmp_path / "runs"
    counter.touch()
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setenv("RUNS", str(counter))
    return counter


@pytest.mark.parametrize("build", toolchain.ALL, ids=lambda build: build.name)
def test_each_program_of_a_build_is_found_under_its_own_name(
    tmp_path: Path, runs: Path, build: toolchain.Build
) -> None:
    programs = toolchain.ensure_programs(tmp_path, [build])

    assert set(programs) == set(build.packages)
    assert all(path.name == name and path.is_file() for name, path in programs.items())


def test_what_is_built_is_not_built_again(tmp_path: Path, runs: Path) -> None:
    first = toolchain.ensure_programs(tmp_path, [toolchain.CLIENTS])

    assert toolchain.ensure_programs(tmp_path, [toolchain.CLIENTS]) == first
    assert runs.read_text() == "run\n"
    assert toolchain.missing_builds(tmp_path, [toolchain.CLIENTS, toolchain.RUNC]) == (
        toolchain.RUNC,
    )


def test_a_failed_build_is_told_with_its_output_and_never_taken_for_complete(
    tmp_path: Path, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATUS", "1")
    with pytest.raises(DevstackError, match=r"(?s)`go build` of clients ended with 1.*a/package"):
        toolchain.ensure_programs(tmp_path, [toolchain.CLIENTS])
    assert toolchain.missing_builds(tmp_path, [toolchain.CLIENTS]) == (toolchain.CLIENTS,)

    monkeypatch.setenv("STATUS", "0")
    toolchain.ensure_programs(tmp_path, [toolchain.CLIENTS])
    assert toolchain.missing_builds(tmp_path, [toolchain.CLIENTS]) == ()
    assert [path for path in (tmp_path / "bin").iterdir() if path.name.startswith(".")] == []


def test_two_commands_at_once_build_once(tmp_path: Path, runs: Path) -> None:
    threads = [
        threading.Thread(target=toolchain.ensure_programs, args=(tmp_path, [toolchain.NODE]))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert runs.read_text() == "run\n"


def test_without_go_the_error_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(DevstackError, match=r"(?s)go is not there.*https://go\.dev/dl"):
        toolchain.ensure_programs(tmp_path, [toolchain.CLIENTS])


@pytest.mark.parametrize("name", ["go.mod", "go.sum", "tools.go", "coredns/main.go"])
def test_the_hash_follows_every_source(tmp_path: Path, name: str) -> None:
    source = tmp_path / "source"
    shutil.copytree(toolchain.SOURCE, source)
    before = toolchain.source_hash(source, toolchain.NODE)
    path = source / toolchain.NODE.module / name
    path.write_text(path.read_text() + "// changed\n")

    assert toolchain.source_hash(source, toolchain.NODE) != before


def test_the_hash_follows_the_flags() -> None:
    hashes = {toolchain.source_hash(toolchain.SOURCE, build) for build in toolchain.ALL}

    assert len(hashes) == len(toolchain.ALL)


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("go version go1.26.8 linux/amd64", (1, 26)),
        ("go version go1.19 linux/amd64", (1, 19)),
        ("go version devel go1.27-abcdef linux/amd64", (1, 27)),
        ("", None),
        ("bash: go: command not found", None),
    ],
)
def test_the_version_is_read_out_of_what_go_prints(
    text: str, version: tuple[int, int] | None
) -> None:
    assert toolchain.go_version(text) == version
