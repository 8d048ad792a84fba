"""Finds a Java that can run the broker, and writes its command lines.

Knows flags of the virtual machine, nothing of Kafka's configuration.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from loadertask_devstack.errors import DevstackError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OLDEST_VERSION = 17

_LOG_FLAGS = (
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS",
    "-Dorg.slf4j.simpleLogger.showThreadName=false",
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka=warn",
    "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
)
_MACHINE_FLAGS = ("-XX:+UseSerialGC", "-Xms128m", "-Xmx512m", "-XX:-UsePerfData", "-Xlog:disable")


@dataclass(frozen=True)
class Java:
    """A Java virtual machine, and the jars it is to run."""

    program: Path
    version: str
    jars: Path

    @property
    def class_archive(self) -> Path:
        """Where the broker's loaded classes are kept for fast starts; may not be there yet."""
        return self.jars / f"classes-{self.version}.jsa"

    def command(
        self, main_class: str, *arguments: str, full_jit: bool = False, flags: Sequence[str] = ()
    ) -> list[str]:
        """A command line; `full_jit` starts slower and runs TLS several times faster."""
        return [
            str(self.program),
            *_MACHINE_FLAGS,
            f"-XX:TieredStopAtLevel={4 if full_jit else 1}",
            *(flags or self._archive_flags()),
            *_LOG_FLAGS,
            "-cp",
            f"{self.jars}/*",
            main_class,
            *arguments,
        ]

    def _archive_flags(self) -> Sequence[str]:
        # Java goes on without the archive where it does not fit.
        return (
            [f"-XX:SharedArchiveFile={self.class_archive}"] if self.class_archive.exists() else []
        )


def find_java(jars: Path, environ: Mapping[str, str]) -> Java:
    """The Java of JAVA_HOME, else of PATH; raises DevstackError where it is missing or too old."""
    home = environ.get("JAVA_HOME")
    place = str(Path(home) / "bin") if home else environ.get("PATH")
    program = shutil.which("java", path=place)
    if program is None:
        raise DevstackError(f"no java in {'JAVA_HOME' if home else 'PATH'}", _REMEDY)
    shown = subprocess.run([program, "-version"], capture_output=True, text=True, check=False)
    version = parse_version(shown.stderr)
    if version is None or int(version.split(".")[0]) < OLDEST_VERSION:
        raise DevstackError(f"{program} is Java {version or 'of an unknown version'}", _REMEDY)
    return Java(Path(program).resolve(), version, jars)


def parse_version(shown: str) -> str | None:
    """The version in what `java -version` prints ("17.0.15"); None where there is none."""
    match = re.search(r'version "([0-9]+[0-9._]*)', shown)
    return match[1] if match else None


_REMEDY = (
    f"Java {OLDEST_VERSION} or newer runs the Kafka broker: "
    "`apt-get install openjdk-17-jre-headless`, or without root: unpack the archive of "
    "https://adoptium.net and set JAVA_HOME"
)
