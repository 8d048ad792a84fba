"""The page of exit codes and errors, out of the contract's enum and the worker's tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadertask_contract.exit_codes import CRASH, OUTCOMES, ExitCode, Outcome, recovery_from
from loadertask_devstack.reference.markdown import code, table
from loadertask_worker.errors import LoadError

if TYPE_CHECKING:
    from collections.abc import Iterator

_INTRODUCTION = """\
# Errors and exit codes of a worker

## Exit codes

The numbers of sysexits(3), one enum: `loadertask_contract.exit_codes.ExitCode`. The worker exits
with them, the operator decides by them. Any other code is a crash.
"""
_ERRORS = """\
## Errors

Everything that can end a load is one tree, `loadertask_worker.errors`. The reason is in the header
`reason` of the `error` event, in the termination log and, from there, in the task's conditions and
events.
"""


def errors_page() -> str:
    """The whole page."""
    codes = [_code_row(str(code.value), code.name, OUTCOMES[code]) for code in ExitCode]
    head = ("Code", "Name", "What happened", "Last event", "What is done about it")
    parts = [
        _INTRODUCTION,
        table(head, [*codes, _code_row("other", "", CRASH)]),
        _ERRORS,
        table(("Reason", "Error", "Meaning", "Code", "Then"), map(_error_row, final_errors())),
    ]
    return "\n".join(parts)


def final_errors() -> Iterator[type[LoadError]]:
    """The classes that are raised, in the order of the tree."""
    yield from _leaves(LoadError)


def _leaves(node: type[LoadError]) -> Iterator[type[LoadError]]:
    if "reason" in vars(node):
        yield node
    for child in node.__subclasses__():
        yield from _leaves(child)


def _code_row(number: str, name: str, outcome: Outcome) -> tuple[str, ...]:
    return (number, code(name), outcome.happened, outcome.last_event, outcome.recovery.in_words)


def _error_row(error: type[LoadError]) -> tuple[str, ...]:
    meaning = (error.__doc__ or "").partition("\n\n")[0].replace("``", "`")
    number = error.exit_code
    then = recovery_from(number).in_words
    return (code(error.reason), code(error.__name__), meaning, str(int(number)), then)
