"""Fetches the broker's jars from Maven, once per machine.

They are cached under a hash of what is wanted (toolchain/kafka), checked against jars.sha256, and
appear complete or not at all. Knows nothing of how they are run.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from loadertask_devstack.errors import DevstackError
from loadertask_devstack.lock import exclusive_lock
from loadertask_devstack.processes import log_tail
from loadertask_devstack.stack import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Progress = Callable[[str], None]

TOOLCHAIN = CHECKOUT / "devstack" / "toolchain" / "kafka"

_FETCH_TIMEOUT_S = 900.0
_PROGRESS_PERIOD_S = 3.0


def fetched(cache: Path, progress: Progress, toolchain: Path = TOOLCHAIN) -> Path:
    """The directory of the jars, fetched if need be.

    Raises DevstackError without Maven, when the fetch fails, or a jar is not the one expected.
    """
    wanted = toolchain / "jars.sha256"
    digest = hashlib.sha256((toolchain / "pom.xml").read_bytes() + wanted.read_bytes()).hexdigest()
    directory = cache / "kafka" / digest[:12]
    with exclusive_lock(cache / "kafka" / f"{digest[:12]}.lock"):
        if not directory.exists():
            _fetch(toolchain / "pom.xml", _read_digests(wanted), directory, progress)
    return directory


def _fetch(pom: Path, digests: Mapping[str, str], directory: Path, progress: Progress) -> None:
    draft = Path(tempfile.mkdtemp(prefix="draft-", dir=directory.parent))
    try:
        progress(f"Kafka: fetching {len(digests)} jars (45 MB) with Maven, once per machine")
        _run_maven(pom, draft, len(digests), progress)
        _verify(draft, digests)
        (draft / "maven.log").unlink()
        draft.rename(directory)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _run_maven(pom: Path, directory: Path, expected: int, progress: Progress) -> None:
    log = directory / "maven.log"
    command = [
        _maven(),
        *("--batch-mode", "--strict-checksums", f"--file={pom}", f"-DoutputDirectory={directory}"),
        "dependency:copy-dependencies",
    ]
    with log.open("wb") as output:
        maven = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            exit_code = _watch(maven, log, expected, progress)
        finally:
            maven.kill()
            maven.wait()
    if exit_code != 0:
        raise DevstackError(
            f"Maven could not fetch Kafka; the end of its log:\n{log_tail(log)}",
            "make Maven reach a repository (~/.m2/settings.xml: mirror, proxy), then start again",
        )


def _watch(
    maven: subprocess.Popen[bytes], log: Path, expected: int, progress: Progress
) -> int | None:
    """Report progress until Maven ends; its exit code, None when it took too long."""
    deadline = time.monotonic() + _FETCH_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            return maven.wait(_PROGRESS_PERIOD_S)
        except subprocess.TimeoutExpired:
            copied = len(list(log.parent.glob("*.jar")))
            downloads = log.read_bytes().count(b"Downloaded from")
            progress(f"Kafka: {downloads} downloads, {copied} of {expected} jars in place")
    return None


def _maven() -> str:
    if maven := shutil.which("mvn"):
        return maven
    raise DevstackError(
        "Maven (mvn) is not there; it fetches the Kafka broker",
        "`apt-get install maven`, or without root: unpack the binary archive of "
        "https://maven.apache.org/download.cgi and put its bin/ into PATH",
    )


def _verify(directory: Path, digests: Mapping[str, str]) -> None:
    found = {
        jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in directory.glob("*.jar")
    }
    differing = sorted(
        name for name in digests.keys() | found.keys() if digests.get(name) != found.get(name)
    )
    if differing:
        raise DevstackError(
            f"Maven delivered other jars than jars.sha256 lists: {', '.join(differing)}",
            "remove them from ~/.m2/repository and start again; if pom.xml was changed on purpose, "
            "renew jars.sha256 with sha256sum",
        )


def _read_digests(file: Path) -> dict[str, str]:
    """The digest of every jar by name, from the format of sha256sum."""
    pairs = (line.split() for line in file.read_text().splitlines())
    return {name: digest for digest, name in pairs}
