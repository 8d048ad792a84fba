"""Fetches the broker's jars from Maven, once per machine.

They are cached under a hash of what is wanted (toolchain/kafka), checked against jars.sha256, and
appear complete or not at all. Knows nothing of how they are run.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from loadertask_devstack.errors import DevstackError
from loadertask_devstack.lock import exclusive_lock
from loadertask_devstack.processes import log_tail
from loadertask_devstack.progress import elapsed
from loadertask_devstack.stack import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadertask_devstack.progress import Progress

TOOLCHAIN = CHECKOUT / "devstack" / "toolchain" / "kafka"

_FETCH_TIMEOUT_S = 900.0


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
    log = draft / "maven.log"

    def state() -> str:
        downloads = log.read_bytes().count(b"Downloaded from")
        return f"{downloads} downloads, {len(list(draft.glob('*.jar')))} jars in place"

    try:
        with elapsed(progress, f"Kafka: fetching {len(digests)} jars (45 MB) with Maven", state):
            _run_maven(pom, draft, log)
        _verify(draft, digests)
        log.unlink()
        draft.rename(directory)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _run_maven(pom: Path, directory: Path, log: Path) -> None:
    command = [
        _maven(),
        *("--batch-mode", "--strict-checksums", f"--file={pom}", f"-DoutputDirectory={directory}"),
        "dependency:copy-dependencies",
    ]
    with log.open("wb") as output:
        try:
            subprocess.run(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=_FETCH_TIMEOUT_S,
                check=True,
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            raise DevstackError(
                f"Maven could not fetch Kafka: {error}; the end of its log:\n{log_tail(log)}",
                "make Maven reach a repository (~/.m2/settings.xml: mirror, proxy), start again",
            ) from error


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
