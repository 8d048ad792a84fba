"""The page of the worker's environment, out of the contract's model."""

from __future__ import annotations

from dataclasses import astuple
from enum import StrEnum
from typing import TYPE_CHECKING, get_args

from annotated_types import Ge, Gt, Le

from loadertask_contract.environment import ALIASES, SECRET_VARIABLES, WorkerEnvironment
from loadertask_devstack.reference.fields import default_of, example_of
from loadertask_devstack.reference.markdown import code, table

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

_SIGNS = {Ge: "≥", Gt: ">", Le: "≤"}
_INTRODUCTION = """\
# Environment of a worker

A worker is configured by these variables alone; the operator sets them. Variables in **bold** are
required. An empty variable counts as absent, one that is not listed is ignored. Everything that is
wrong is said at once, in the log and in one `error` event, and the worker ends with code 78
([errors](exit-codes.md)).
"""
_OURS = """\
## Of this project

Names that begin with `LOADER_`, and an explicit protocol. A worker without any of them behaves as
the platform's loaders do.
"""


def environment_page() -> str:
    """The whole page."""
    fields = list(WorkerEnvironment.model_fields.values())
    secrets = ", ".join(map(code, SECRET_VARIABLES))
    head = ("Variable", "Default", "Example", "Meaning")
    parts = [
        _INTRODUCTION,
        "## Given by the platform\n",
        table(head, (_row(field) for field in fields if not _is_ours(field))),
        _OURS,
        table(head, (_row(field) for field in fields if _is_ours(field))),
        "## Other names\n",
        table(("Name", "Read as"), ((code(name), code(of)) for name, of in ALIASES.items())),
        "Where both are set, the name on the right wins.\n",
        "## Secrets\n",
        f"{secrets} come from Secrets. No log line, event or metric holds a password, key or"
        " secret.\n",
    ]
    return "\n".join(parts)


def _is_ours(field: FieldInfo) -> bool:
    return str(field.alias).startswith("LOADER_") or field.alias == "KAFKA_SECURITY_PROTOCOL"


def _row(field: FieldInfo) -> tuple[str, ...]:
    name = f"**{code(field.alias)}**" if field.is_required() else code(field.alias)
    example = example_of(field)
    return (name, code(default_of(field)), code(example), f"{field.description}{_rules(field)}")


def _rules(field: FieldInfo) -> str:
    bounds = ", ".join(
        f"{_SIGNS[type(rule)]} {astuple(rule)[0]:g}"
        for rule in field.metadata
        if type(rule) in _SIGNS
    )
    choices = ", ".join(map(code, _choices(field)))
    return (f" One of {choices}." if choices else "") + (f" ({bounds})" if bounds else "")


def _choices(field: FieldInfo) -> list[str]:
    kinds = (field.annotation, *get_args(field.annotation))
    enums = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, StrEnum)]
    return [str(member) for enum in enums for member in enum]
