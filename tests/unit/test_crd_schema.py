"""The CRD as a document: every field is explained and bounded, no number is a float."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pytest
import yaml
from pydantic import BaseModel

from loadertask_contract.environment import TUNING_VARIABLES, VARIABLES
from loadertask_contract.intervals import Interval
from loadertask_contract.task_types import TaskType, parse_load_type
from loadertask_operator.schema import Spec
from loadertask_operator.status import Phase, Status

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
CRD = yaml.safe_load((ROOT / "crds/loadertasks.yaml").read_text())
(VERSION,) = CRD["spec"]["versions"]
SCHEMA: dict[str, Any] = VERSION["schema"]["openAPIV3Schema"]
# The server allows no more than its type here, and explains it itself.
STANDARD = ("metadata",)


def walk(node: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, node
    for name, child in node.get("properties", {}).items():
        if not (path == "" and name in STANDARD):
            yield from walk(child, f"{path}.{name}")
    if "items" in node:
        yield from walk(node["items"], f"{path}[]")
    if isinstance(node.get("additionalProperties"), dict):
        yield from walk(node["additionalProperties"], f"{path}{{}}")


NODES = list(walk(SCHEMA, ""))
IDS = [path or "." for path, _ in NODES]


@pytest.mark.parametrize(("path", "node"), NODES, ids=IDS)
def test_every_field_has_a_description_that_is_a_sentence(path: str, node: dict[str, Any]) -> None:
    description = node.get("description", "")
    assert len(description) >= 10, path
    assert description.endswith("."), path


@pytest.mark.parametrize(("path", "node"), NODES, ids=IDS)
def test_every_string_list_map_and_number_is_bounded(path: str, node: dict[str, Any]) -> None:
    kind = node.get("type", "int-or-string")
    if kind in {"string", "int-or-string"}:
        assert node.get("maxLength") or node.get("format") == "date-time", path
    if kind == "array":
        assert node.get("maxItems"), path
        assert node.get("x-kubernetes-list-type") in {"atomic", "map"}, path
    if kind == "object":
        is_map = "additionalProperties" in node or node.get("x-kubernetes-preserve-unknown-fields")
        assert node.get("properties") or is_map or path.endswith("spec"), path
        assert not is_map or node.get("maxProperties"), path
    if kind == "integer":
        assert node.get("format") in {"int32", "int64"}, path
        assert "minimum" in node or path.endswith("exitCode"), path
        assert "maximum" in node or path.startswith(".status"), path
    assert kind in {"string", "int-or-string", "array", "object", "integer", "boolean"}, path


@pytest.mark.parametrize(("path", "node"), NODES, ids=IDS)
def test_every_rule_tells_which_field_to_change(path: str, node: dict[str, Any]) -> None:
    for rule in node.get("x-kubernetes-validations", []):
        assert rule["message"].startswith(("spec.", "status", "metadata.")), (path, rule["message"])
        field = rule.get("fieldPath", "").removeprefix(".")
        assert field in rule["message"], (path, rule["message"])


def test_a_default_stands_in_the_description_too() -> None:
    for path, node in NODES:
        if "default" in node and node["type"] == "integer":
            assert f"default {node['default']}" in node["description"], path


def test_types_and_intervals_are_those_of_the_contract() -> None:
    fields = SCHEMA["properties"]["spec"]["properties"]
    types = fields["type"]["enum"]
    intervals = [str(interval) for interval in Interval]
    assert fields["interval"]["enum"] == intervals
    assert {parse_load_type(text).task_type for text in types} == set(TaskType)
    for candles in (t for t in TaskType if t.has_candles):
        assert [t for t in types if t.startswith(candles)] == [
            candles,
            *(f"{candles}_{interval}" for interval in intervals),
        ]


def test_the_refused_variables_are_exactly_those_that_the_operator_renders() -> None:
    worker = SCHEMA["properties"]["spec"]["properties"]["worker"]["properties"]
    rules = worker["env"]["items"]["properties"]["name"]["x-kubernetes-validations"]
    refused, tuning = (
        set(rule["rule"].partition("[")[2].partition("]")[0].replace("'", "").split(", "))
        for rule in rules
    )
    assert rules[1]["rule"].startswith("!self.startsWith('LOADER_') || self in [")
    assert refused == {name for name in VARIABLES if not name.startswith("LOADER_")}
    assert tuning == set(TUNING_VARIABLES) <= set(VARIABLES)
    assert all(name in rules[1]["message"] for name in tuning)


def test_the_columns_of_kubectl_get_are_those_of_the_design() -> None:
    columns = VERSION["additionalPrinterColumns"]
    shown = [column["name"].upper() for column in columns if not column.get("priority")]
    wide = [column["name"].upper() for column in columns if column.get("priority")]
    assert " ".join(shown) == "PHASE TYPE SYMBOL RANGE PROGRESS RECORDS LAST-EVENT TRY AGE"
    assert " ".join(wide) == "TOPIC RATE ETA JOB REASON MESSAGE"
    assert CRD["spec"]["names"]["shortNames"] == ["lt"]
    assert CRD["spec"]["names"]["categories"] == ["streamforge"]


def model_inside(annotation: Any) -> type[BaseModel] | None:
    """The model in X, X | None, tuple[X, ...] or Annotated[X, ...]."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(model_inside, get_args(annotation))), None)


def differing_fields(model: type[BaseModel], schema: dict[str, Any], path: str) -> list[str]:
    """Paths that only one of them has."""
    schema = schema.get("items", schema)
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    different = [f"{path}.{name}" for name in fields.keys() ^ schema["properties"].keys()]
    for name in fields.keys() & schema["properties"].keys():
        inner = model_inside(fields[name].annotation)
        if inner is not None:
            different += differing_fields(inner, schema["properties"][name], f"{path}.{name}")
    return different


@pytest.mark.parametrize(("model", "part"), [(Spec, "spec"), (Status, "status")])
def test_the_operator_reads_and_writes_exactly_the_fields_of_the_schema(
    model: type[BaseModel], part: str
) -> None:
    assert differing_fields(model, SCHEMA["properties"][part], part) == []


def test_the_defaults_of_the_operator_are_those_of_the_schema() -> None:
    fields = SCHEMA["properties"]["spec"]["properties"]
    for name, field in Spec.model_fields.items():
        default = fields[field.alias or name].get("default")
        if default is not None and not isinstance(default, dict):
            assert field.default == default, name


def test_the_phases_are_those_of_the_operator() -> None:
    assert SCHEMA["properties"]["status"]["properties"]["phase"]["enum"] == list(Phase)
