from __future__ import annotations

from pathlib import Path

import pytest

from loadertask_devstack.errors import DevstackError
from loadertask_devstack.kafka.java import Java, find_java, parse_version

SHOWN = [
    ('openjdk version "17.0.15" 2025-04-15\nOpenJDK Runtime Environment', "17.0.15"),
    ('openjdk version "21" 2023-09-19', "21"),
    ('java version "1.8.0_391"', "1.8.0_391"),
    ("Error: could not find libjava.so", None),
]


def java_that_says(directory: Path, text: str) -> dict[str, str]:
    program = directory / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho '{text}' >&2\n")
    program.chmod(0o755)
    return {"JAVA_HOME": str(directory)}


@pytest.mark.parametrize(("shown", "version"), SHOWN)
def test_the_version_is_read_from_what_java_prints(shown: str, version: str | None) -> None:
    assert parse_version(shown) == version


def test_the_java_of_java_home_is_taken(tmp_path: Path) -> None:
    environ = java_that_says(tmp_path, 'openjdk version "21.0.4"')
    java = find_java(Path("/jars"), environ)
    assert java == Java((tmp_path / "bin" / "java").resolve(), "21.0.4", Path("/jars"))


@pytest.mark.parametrize("shown", ['java version "1.8.0_391"', 'version "11.0.2"', "nonsense"])
def test_an_old_or_strange_java_is_refused_with_how_to_get_one(tmp_path: Path, shown: str) -> None:
    with pytest.raises(DevstackError, match="is Java") as refusal:
        find_java(Path("/jars"), java_that_says(tmp_path, shown))
    assert "Java 17 or newer" in refusal.value.remedy


@pytest.mark.parametrize("variable", ["JAVA_HOME", "PATH"])
def test_a_missing_java_is_refused_with_where_it_was_looked_for(
    tmp_path: Path, variable: str
) -> None:
    with pytest.raises(DevstackError, match=f"no java in {variable}"):
        find_java(Path("/jars"), {variable: str(tmp_path)})


@pytest.mark.parametrize(("full_jit", "level"), [(False, 1), (True, 4)])
def test_the_compiler_is_as_thorough_as_asked(tmp_path: Path, full_jit: bool, level: int) -> None:
    java = Java(Path("/java"), "17", tmp_path)
    command = java.command("kafka.Kafka", "x.properties", full_jit=full_jit)
    assert f"-XX:TieredStopAtLevel={level}" in command
    assert command[-4:] == ["-cp", f"{tmp_path}/*", "kafka.Kafka", "x.properties"]


def test_the_class_archive_is_used_where_it_exists_for_this_java(tmp_path: Path) -> None:
    java, other = Java(Path("/java"), "17", tmp_path), Java(Path("/java"), "21", tmp_path)
    java.class_archive.touch()
    flag = f"-XX:SharedArchiveFile={java.class_archive}"
    assert flag in java.command("kafka.Kafka")
    assert not any("SharedArchiveFile" in part for part in other.command("kafka.Kafka"))
    assert flag not in java.command("kafka.Kafka", flags=["-XX:ArchiveClassesAtExit=x"])
