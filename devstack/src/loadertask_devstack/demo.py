"""The demo: one manifest, first without a cluster, then on a real Kubernetes with the operator.

The long part, building Kubernetes once, starts in the background at once.
"""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

from loadertask_devstack import local_run, processes, system
from loadertask_devstack.cluster import clients
from loadertask_devstack.errors import DevstackError
from loadertask_devstack.kafka.topics import read_records
from loadertask_devstack.local_manifest import read_manifest

if TYPE_CHECKING:
    from pathlib import Path

    from loadertask_devstack.processes import Process
    from loadertask_devstack.progress import Progress
    from loadertask_devstack.stack import Stack
    from loadertask_devstack.system import System

_PREPARATION = "prepare"
_PREPARATION_TIMEOUT_S = 3600
_LOAD_TIMEOUT_S = 120
_POLL_S = 0.5


def run(stack: Stack, manifest: Path, say: Progress) -> int:
    """Show the main job twice; 0 when both loads ended well.

    Raises DevstackError naming the part that failed.
    """
    task = read_manifest(manifest)
    preparation = _prepare_in_background(stack)
    say("1 of 2: the manifest without a cluster (building Kubernetes goes on in the background)")
    exit_code = local_run.run(stack, manifest, say)
    if exit_code:
        return exit_code
    say("2 of 2: the same manifest on a real Kubernetes")
    _wait_for(preparation, say)
    running = system.start(stack, say)
    _apply_and_watch(running, manifest, task.name, say)
    _show_one_record(running, task.name, say)
    print(_WHAT_NEXT.format(manifest=manifest, name=task.name))
    return 0


def _prepare_in_background(stack: Stack) -> Process:
    running = processes.find(stack.directory, _PREPARATION)
    command = [sys.executable, "-u", "-m", "loadertask_devstack", "prepare"]
    return running or processes.start(stack.directory, _PREPARATION, command)


def _wait_for(preparation: Process, say: Progress) -> None:
    """Wait for the build and pass its lines on; it has its own limit against waiting for ever."""
    told = 0
    deadline = time.monotonic() + _PREPARATION_TIMEOUT_S
    while True:
        is_running = preparation.is_running()
        lines = preparation.log.read_text(errors="replace").splitlines()
        for line in lines[told:]:
            print(f"  {line}", flush=True)
        told = len(lines)
        if not is_running:
            break
        if time.monotonic() > deadline:
            raise DevstackError("the build takes over an hour", f"look into {preparation.log}")
        time.sleep(_POLL_S)
    say("everything is built")


def _apply_and_watch(running: System, manifest: Path, name: str, say: Progress) -> None:
    kubectl = [
        clients.client_program("kubectl"),
        f"--kubeconfig={running.cluster.kubeconfig}",
        f"--namespace={system.TASK_NAMESPACE}",
    ]
    say(f"kubectl apply -f {manifest}")
    # The demo may be run again: a finished task of that name makes way for a new one.
    _run([*kubectl, "delete", "loadertask", name, "--ignore-not-found"])
    _run([*kubectl, "apply", "-f", str(manifest)])
    say("kubectl get loadertasks --watch")
    with subprocess.Popen([*kubectl, "get", "loadertasks", name, "--watch"]) as watch:
        try:
            condition = "--for=condition=Complete"
            limit = f"--timeout={_LOAD_TIMEOUT_S}s"
            _run([*kubectl, "wait", f"loadertask/{name}", condition, limit])
            time.sleep(_POLL_S)  # lets the watch print the last change
        finally:
            watch.terminate()


def _run(command: list[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise DevstackError(
            f"{' '.join(command[:1] + command[2:])}: {result.stderr.strip()}",
            "the logs of all parts: make logs",
        )


def _show_one_record(running: System, name: str, say: Progress) -> None:
    topic = clients.kubectl(
        running.cluster,
        *("get", "loadertask", name, f"--namespace={system.TASK_NAMESPACE}"),
        "--output=jsonpath={.status.topic}",
    )
    records = read_records(running.kafka.plain, topic)
    say(f"{len(records)} records in topic {topic}; the first one:")
    print(f"  {(records[0].value or b'').decode()}")


_WHAT_NEXT = """
The system goes on running. Try next:
  source <(.venv/bin/python -m loadertask_devstack env)    # kubectl and its cluster, in this shell
  kubectl get loadertasks -w                               # in a second shell
  kubectl explain loadertask.spec                          # every field, explained
  sed 's/name: {name}/name: second/; s/BTCUSDT/ETHUSDT/' {manifest} | kubectl apply -f -
  kubectl delete loadertask second                         # a graceful stop, also while it loads
  make logs                                                # the logs of all parts in one place
  make down                                                # the machine as it was
"""
