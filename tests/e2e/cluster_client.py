"""What the e2e tests do to a cluster: kubectl, as a person would, and waiting for conditions."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True)
class Kubectl:
    """kubectl for one cluster and one namespace."""

    program: Path
    kubeconfig: Path
    namespace: str

    def __call__(self, *arguments: str, stdin: str | None = None, timeout_s: float = 60) -> str:
        """The output of a command; AssertionError with its error output when it fails."""
        result = self.run(*arguments, stdin=stdin, timeout_s=timeout_s)
        assert result.returncode == 0, f"kubectl {' '.join(arguments)}: {result.stderr}"
        return result.stdout

    def run(
        self, *arguments: str, stdin: str | None = None, timeout_s: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """The finished command, also when it failed."""
        return subprocess.run(
            [
                str(self.program),
                f"--kubeconfig={self.kubeconfig}",
                f"--namespace={self.namespace}",
                *arguments,
            ],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def get(self, *arguments: str) -> dict[str, Any]:
        """The object that ``kubectl get`` finds."""
        found: dict[str, Any] = json.loads(self("get", *arguments, "--output=json"))
        return found

    def apply(self, manifest: dict[str, Any]) -> None:
        """Apply one object."""
        self("apply", "--filename=-", stdin=json.dumps(manifest))

    def task(self, name: str) -> dict[str, Any]:
        """A LoaderTask."""
        return self.get("loadertask", name)

    def wait_for_phase(self, name: str, *phases: str, timeout_s: float = 60) -> dict[str, Any]:
        """The LoaderTask as soon as its phase is one of ``phases``."""
        task: dict[str, Any] = {}

        def is_there() -> bool:
            nonlocal task
            task = self.task(name)
            return task.get("status", {}).get("phase") in phases

        wait_until(is_there, timeout_s, f"{name} in {phases}", lambda: json.dumps(task, indent=1))
        return task


def condition(task: dict[str, Any], name: str) -> dict[str, Any]:
    """A condition of an object by its type; empty when it has none."""
    conditions: list[dict[str, Any]] = task.get("status", {}).get("conditions", [])
    return next((each for each in conditions if each["type"] == name), {})


def wait_until(
    is_true: Callable[[], bool],
    timeout_s: float,
    what: str,
    describe: Callable[[], str] = str,
    interval_s: float = 0.2,
) -> None:
    """Poll until ``is_true``; AssertionError naming ``what`` when it never was."""
    deadline = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < deadline, f"no {what} within {timeout_s} s\n{describe()}"
        time.sleep(interval_s)
