"""The command line of devstack: one verb per thing a developer wants to see or stop.

It parses arguments, prints, and maps failures to exit codes; everything else is elsewhere.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from loadertask_devstack import demo, kafka, local_run, system
from loadertask_devstack.errors import DevstackError
from loadertask_devstack.kafka.topics import read_records
from loadertask_devstack.processes import own_command
from loadertask_devstack.stack import current_stack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadertask_devstack.stack import Stack


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 when it did what it says, 1 after a failure told in words."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(current_stack(os.environ), options)
    except DevstackError as error:
        print(f"\ndevstack: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; `make down` stops what is still running", file=sys.stderr)
        return 130
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m loadertask_devstack", description=_DESCRIPTION)
    commands = parser.add_subparsers(required=True, metavar="command")
    for name, run, text in _COMMANDS:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        if run in (_try, _demo):
            command.add_argument("manifest", type=Path, help="a LoaderTask, as in examples/")
        if run is _records:
            command.add_argument("topic", help="as try shows it, or status.topic of a task")
    return parser


def _prepare(_stack: Stack, _options: argparse.Namespace) -> int:
    system.prepare(_say)
    return 0


def _up(stack: Stack, _options: argparse.Namespace) -> int:
    running = system.start(stack, _say)
    print(f"\nReady. In your shell:  source <({own_command()} env)   then: kubectl get loadertasks")
    print(f"Kafka for programs on this machine: {running.kafka.secure} (SASL_SSL)")
    return 0


def _down(stack: Stack, _options: argparse.Namespace) -> int:
    system.stop(stack, _say)
    return 0


def _env(stack: Stack, _options: argparse.Namespace) -> int:
    for name, value in system.shell_variables(stack).items():
        print(f"export {name}={value if '$' in value else shlex.quote(value)}")
    return 0


def _logs(stack: Stack, _options: argparse.Namespace) -> int:
    print(system.diagnosis(stack))
    return 0


def _try(stack: Stack, options: argparse.Namespace) -> int:
    return local_run.run(stack, options.manifest, _say)


def _records(stack: Stack, options: argparse.Namespace) -> int:
    if (running := kafka.find(stack.directory)) is None:
        raise DevstackError(
            "no Kafka runs for this checkout", "start it with: make up, or make try"
        )
    for record in read_records(running.plain, options.topic):
        print((record.value or b"").decode())
    return 0


def _demo(stack: Stack, options: argparse.Namespace) -> int:
    return demo.run(stack, options.manifest, _say)


_DESCRIPTION = """\
Kafka, a replay of the venue and Kubernetes on this machine, to try a LoaderTask and to look at it.
`make` lists the usual commands; docs/how-to/run-locally.md tells the rest.
"""
_COMMANDS = (
    ("prepare", _prepare, "build and fetch everything that is cached (the long part, once)"),
    ("try", _try, "run a manifest without a cluster, by a local worker process; Ctrl-C ends it"),
    ("records", _records, "print the records of a topic, a line of JSON each"),
    ("demo", _demo, "run a manifest locally, then on a real Kubernetes"),
    ("up", _up, "start Kafka, the venue replay and Kubernetes, and install the operator"),
    ("env", _env, "the shell variables of the running system: source <(... env)"),
    ("logs", _logs, "the logs of all parts in one place"),
    ("down", _down, "stop all of it; the machine is as it was"),
)
_BEGAN = time.monotonic()


def _say(text: str) -> None:
    """A line of progress with the seconds since the start."""
    print(f"[{time.monotonic() - _BEGAN:5.1f} s] {text}", flush=True)
