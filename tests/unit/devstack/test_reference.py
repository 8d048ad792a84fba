from __future__ import annotations

import re

import pytest
from pydantic import BaseModel, Field

from loadertask_contract.environment import VARIABLES
from loadertask_contract.events import EventStatus, Progress, QueueEvent
from loadertask_contract.records import CANDLE_FIELDS, TRADE_FIELDS
from loadertask_devstack.reference import DIRECTORY, PAGES, page
from loadertask_devstack.reference.fields import fields_table
from loadertask_devstack.reference.loadertask import fields_below
from loadertask_devstack.reference.markdown import table
from loadertask_worker import errors, metrics


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_the_code_says(name: str) -> None:
    assert (DIRECTORY / name).read_text() == page(name), (
        "out of date: run `python -m loadertask_devstack.reference`"
    )


def first_cells(name: str) -> list[str]:
    return re.findall(r"^\| \**`([^`]+)`\** \|", page(name), flags=re.MULTILINE)


def test_every_variable_has_one_line() -> None:
    assert sorted(first_cells("environment.md")) == sorted(VARIABLES)


def test_every_status_field_and_header_of_an_event_has_one_line() -> None:
    headers = [field.alias or name for name, field in Progress.model_fields.items()]
    expected = [*EventStatus, *QueueEvent.model_fields, *headers, "stop", "ping"]
    assert sorted(first_cells("events.md")) == sorted(expected)


def test_every_field_of_a_record_has_a_line() -> None:
    assert {*CANDLE_FIELDS, *TRADE_FIELDS, "symbol", "interval"} <= set(first_cells("records.md"))


def test_every_error_that_has_a_reason_has_one_line() -> None:
    classes = [each for each in vars(errors).values() if isinstance(each, type)]
    reasons = [each.reason for each in classes if "reason" in vars(each)]
    assert len(reasons) >= 9
    assert sorted(set(first_cells("exit-codes.md"))) == sorted(reasons)


def test_every_metric_has_one_line() -> None:
    assert first_cells("metrics.md") == [metric.name for metric in metrics.ALL]


def test_a_field_without_words_has_no_place_in_a_page() -> None:
    class Silent(BaseModel):
        number: int = Field(description="A number.")

    with pytest.raises(ValueError, match="needs a description and an example"):
        fields_table(Silent, "Field")


def test_a_bar_inside_a_cell_does_not_end_it() -> None:
    assert table(("a", "b"), [("1|2", "3\n4")]).splitlines()[2] == "| 1&#124;2 | 3 4 |"


def test_fields_inside_lists_and_maps_are_listed_below_them() -> None:
    leaf = {"type": "string", "maxLength": 9, "description": "A leaf."}
    schema = {
        "required": ["list"],
        "properties": {
            "list": {"type": "array", "items": {"required": ["a"], "properties": {"a": leaf}}},
            "map": {"type": "object", "additionalProperties": leaf},
            "object": {"type": "object", "properties": {"b": leaf}},
        },
    }
    assert [(field.path, field.is_required) for field in fields_below(schema)] == [
        ("list[]", True),
        ("list[].a", True),
        ("map{}", False),
        ("object", False),
        ("object.b", False),
    ]
