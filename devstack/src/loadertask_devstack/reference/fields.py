"""Tables of the fields of a model of the contract: name, default, example and meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic_core import PydanticUndefined

from loadertask_devstack.reference.markdown import code, table

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo


def example_of(field: FieldInfo) -> str:
    """The example of a field, as it stands on the wire.

    Raises:
        ValueError: it has none, or no description.

    """
    if not field.examples or not field.description:
        raise ValueError(f"{field.alias or field} needs a description and an example")
    example = field.examples[0]
    return str(example).lower() if isinstance(example, bool) else str(example)


def default_of(field: FieldInfo) -> str:
    """The default of a field as text; empty where there is none."""
    if field.default is PydanticUndefined or field.default is None:
        return ""
    if isinstance(field.default, bool):
        return str(field.default).lower()
    return f"{field.default:g}" if isinstance(field.default, float) else str(field.default)


def fields_table(model: type[BaseModel], name: str) -> str:
    """A table of all fields; ``name`` heads the first column."""
    rows = (
        (code(field.alias or attribute), code(example_of(field)), field.description or "")
        for attribute, field in model.model_fields.items()
    )
    return table((name, "Example", "Meaning"), rows)
