"""The page of the API, out of the CRD: this knows only how a schema becomes Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from loadertask_devstack.reference.markdown import table
from loadertask_devstack.stack import CHECKOUT

Schema = Mapping[str, Any]

CRD = CHECKOUT / "crds" / "loadertasks.yaml"

_INTRODUCTION = """\
# LoaderTask

{description}

`{group}/{version}`, kind `{kind}`, `kubectl get {short}`. The same text is in the cluster:
`kubectl explain {short}.spec`. A name with `[]` is a list, one with `{{}}` a map; fields in
**bold** are required. A minimal manifest:

```yaml
{example}```
"""
_EXAMPLE = CHECKOUT / "examples" / "01-candles.yaml"


@dataclass(frozen=True)
class Field:
    """A field of the schema: its path below spec or status, and what is said about it."""

    path: str
    schema: Schema
    is_required: bool


def fields_below(schema: Schema, path: str = "") -> Iterator[Field]:
    """All fields below a node, parents before children, in the order of the file."""
    required = schema.get("required", ())
    for name, child in schema.get("properties", {}).items():
        yield from _field_and_below(child, f"{path}.{name}" if path else name, name in required)


def loadertask_page() -> str:
    """The page of the CRD that is installed."""
    return render_reference(yaml.safe_load(CRD.read_text()))


def render_reference(crd: Schema) -> str:
    """The whole document as Markdown."""
    names = crd["spec"]["names"]
    (version,) = crd["spec"]["versions"]
    root = version["schema"]["openAPIV3Schema"]
    introduction = _INTRODUCTION.format(
        description=root["description"],
        group=crd["spec"]["group"],
        version=version["name"],
        kind=names["kind"],
        short=names["shortNames"][0],
        example=_without_comments(_EXAMPLE.read_text()),
    )
    parts = [introduction]
    for name in ("spec", "status"):
        schema = root["properties"][name]
        parts += [f"## {name}\n", f"{schema['description']}\n", _table(fields_below(schema))]
    parts += ["## Rules across fields\n", _rules(root), "## Columns\n"]
    return "\n".join([*parts, _columns(version["additionalPrinterColumns"])])


def _field_and_below(schema: Schema, path: str, is_required: bool) -> Iterator[Field]:
    suffix = {"array": "[]"}.get(schema.get("type", ""), "")
    inner = schema.get("items", schema)
    if "additionalProperties" in schema:
        suffix = "{}"
    yield Field(path + suffix, schema, is_required)
    yield from fields_below(inner, path + suffix)


def _table(fields: Iterator[Field]) -> str:
    return table(("Field", "Type", "Default", "Meaning"), map(_row, fields))


def _row(field: Field) -> tuple[str, ...]:
    name = f"**`{field.path}`**" if field.is_required else f"`{field.path}`"
    default = _text(field.schema["default"]) if "default" in field.schema else ""
    return (name, _type(field.schema), default, _meaning(field.schema))


def _type(schema: Schema) -> str:
    if schema.get("format") == "date-time":
        return "time"
    if "additionalProperties" in schema:
        return f"map, at most {schema['maxProperties']}"
    limits = (
        (f"≥ {schema['minimum']}" if "minimum" in schema else ""),
        (f"≤ {schema['maximum']}" if "maximum" in schema else ""),
        (f"at most {schema['maxItems']}" if "maxItems" in schema else ""),
        (f"at most {schema['maxLength']} characters" if _has_free_length(schema) else ""),
    )
    return ", ".join(filter(None, (schema.get("type", ""), *limits))).replace("array", "list")


def _has_free_length(schema: Schema) -> bool:
    return "maxLength" in schema and "enum" not in schema


def _meaning(schema: Schema) -> str:
    parts = [schema["description"]]
    if "enum" in schema:
        parts.append("One of " + ", ".join(f"`{value}`" for value in schema["enum"]) + ".")
    return " ".join(parts)


def _text(default: object) -> str:
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, Mapping):
        return ", ".join(f"`{name}: {value}`" for name, value in default.items())
    return f"`{default}`"


def _rules(root: Schema) -> str:
    spec, status = root["properties"]["spec"], root["properties"]["status"]
    nodes = [root, spec, *(field.schema for field in fields_below(spec)), status]
    nodes += [node["items"] for node in nodes if "items" in node]
    messages = [
        rule["message"] for node in nodes for rule in node.get("x-kubernetes-validations", ())
    ]
    lead = "Refused by the API server, with these words:\n"
    return "\n".join([lead, *(f"- {message}" for message in messages), ""])


def _columns(columns: list[Schema]) -> str:
    def row(column: Schema) -> tuple[str, ...]:
        wide = " (`-o wide`)" if column.get("priority") else ""
        path = column["jsonPath"].removeprefix(".")
        return (f"{column['name'].upper()}{wide}", f"`{path}`", column["description"])

    return table(("Column", "Where from", "Meaning"), map(row, columns))


def _without_comments(manifest: str) -> str:
    lines = (line.partition(" #")[0].rstrip() for line in manifest.splitlines())
    return "\n".join([*(line for line in lines if line and line[0] != "#"), ""])
