"""Collects what a person needs to see after a failure: logs of a stack, objects of its cluster.

Never raises: what cannot be had is said in its place.
"""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadertask_devstack.processes import log_tail

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_TAIL_LINES = 60
_MOST_PODS = 40
_REQUEST_TIMEOUT_S = 10
_COMMAND_TIMEOUT_S = 20

_OBJECTS = (
    ("get", "loadertasks", "--all-namespaces", "--output=yaml"),
    ("get", "jobs,pods", "--all-namespaces", "--output=wide"),
    ("get", "events", "--all-namespaces", "--sort-by=.lastTimestamp"),
)
_POD_COLUMNS = (
    "custom-columns=NAMESPACE:.metadata.namespace,NAME:.metadata.name,"
    "RESTARTS:.status.containerStatuses[*].restartCount"
)


def collected(directory: Path, kubeconfig: Path | None = None, kubectl: str = "kubectl") -> str:
    """One text with the ends of all logs of the stack in `directory`.

    With a kubeconfig, LoaderTasks, Jobs, Pods, Events and pods' logs too, by the program `kubectl`.
    """
    sections = [*_logs(directory)]
    if kubeconfig is not None:
        with tempfile.TemporaryDirectory(prefix="kubectl-cache-") as cache:
            sections += _cluster(_Kubectl(kubectl, kubeconfig, cache))
    if not sections:
        return f"no logs in {directory}: nothing was started there\n"
    return "\n".join(f"=== {title}\n{text.rstrip()}\n" for title, text in sections)


@dataclass(frozen=True)
class _Kubectl:
    program: str
    kubeconfig: Path
    cache: str
    """Of its own: another cluster at the same address must not be mistaken for this one."""

    def output(self, *arguments: str) -> str:
        """What the command prints, or why it failed."""
        command = [
            self.program,
            f"--kubeconfig={self.kubeconfig}",
            f"--cache-dir={self.cache}",
            f"--request-timeout={_REQUEST_TIMEOUT_S}s",
            *arguments,
        ]
        try:
            shown = subprocess.run(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_COMMAND_TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"(cannot be had: {error})"
        return shown.stdout.decode(errors="replace") or "(nothing)"


def _logs(directory: Path) -> Iterator[tuple[str, str]]:
    for log in sorted([*directory.glob("logs/*.log"), *directory.glob("*/logs/*.log")]):
        yield f"{log}, last {_TAIL_LINES} lines", log_tail(log, _TAIL_LINES)


def _cluster(kubectl: _Kubectl) -> Iterator[tuple[str, str]]:
    for arguments in _OBJECTS:
        yield f"kubectl {' '.join(arguments)}", kubectl.output(*arguments)
    listing = ("get", "pods", "--all-namespaces", f"--output={_POD_COLUMNS}", "--no-headers")
    for line in kubectl.output(*listing).splitlines()[:_MOST_PODS]:
        match line.split():
            case [namespace, pod, restarts]:
                yield from _pod_logs(kubectl, namespace, pod, has_restarted=_any_positive(restarts))


def _pod_logs(
    kubectl: _Kubectl, namespace: str, pod: str, *, has_restarted: bool
) -> Iterator[tuple[str, str]]:
    which = ("logs", pod, f"--namespace={namespace}", "--all-containers", f"--tail={_TAIL_LINES}")
    yield f"pod {namespace}/{pod}", kubectl.output(*which)
    if has_restarted:
        yield f"pod {namespace}/{pod} before its restart", kubectl.output(*which, "--previous")


def _any_positive(counts: str) -> bool:
    """Whether a column of counts ("0,2", "<none>") holds one above zero."""
    return any(count.isdigit() and int(count) > 0 for count in counts.split(","))
