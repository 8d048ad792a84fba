"""Damaged rows: what changes, and that nothing else does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from loadertask_devstack.venue.faults import ROW_FAULTS, Fault, FaultKind, FaultPlan, FaultRule
from loadertask_devstack.venue.row_faults import damaged_json, damaged_lines

LINES = [
    f"{n * 60_000},1.0,2.0,0.5,1.5,9.0,{n * 60_000 + 59_999},9.0,3,1.0,1.0,0" for n in range(10)
]
PAGE = [
    {"a": n, "p": "1.25", "q": "1.0", "f": n, "l": n, "T": 1000 + n, "m": True, "M": True}
    for n in range(10)
]


def lines(kind: FaultKind, rows: int | None = None) -> list[str]:
    return damaged_lines(LINES, Fault(kind=kind, rows=rows))


def page(kind: FaultKind, rows: int | None = None) -> list[dict[str, Any]]:
    return list(json.loads(damaged_json(json.dumps(PAGE), Fault(kind=kind, rows=rows))))


def test_missing_rows_are_the_last_ones() -> None:
    assert lines(FaultKind.ROWS_MISSING) == LINES[:5]
    assert page(FaultKind.ROWS_MISSING, 2) == PAGE[:8]


def test_doubled_rows_come_twice_in_a_row() -> None:
    assert lines(FaultKind.ROWS_DOUBLED, 2) == LINES[:7] + LINES[5:]
    assert page(FaultKind.ROWS_DOUBLED) == PAGE[:6] + PAGE[5:]


def test_unordered_rows_are_all_there() -> None:
    assert lines(FaultKind.ROWS_UNORDERED, 2) == LINES[:5] + LINES[5:8][::-1] + LINES[8:]
    assert sorted(row["a"] for row in page(FaultKind.ROWS_UNORDERED)) == list(range(10))


@pytest.mark.parametrize(
    ("kind", "price"), [(FaultKind.ROWS_CHANGED, "1.26"), (FaultKind.ROWS_NOT_NUMBERS, "1.x")]
)
def test_one_price_is_another(kind: FaultKind, price: str) -> None:
    changed = page(kind)
    assert changed[5] == PAGE[5] | {"p": price}
    assert changed[:5] + changed[6:] == PAGE[:5] + PAGE[6:]


def test_a_wrong_unit_is_the_other_one_in_every_row() -> None:
    assert [row["T"] for row in page(FaultKind.ROWS_WRONG_UNIT)] == [
        row["T"] * 1000 for row in PAGE if isinstance(row["T"], int)
    ]
    twice = damaged_lines(
        damaged_lines([LINES[9].replace("540000", "1577836800000")], Fault(kind="rows_wrong_unit")),
        Fault(kind="rows_wrong_unit"),
    )
    assert twice[0].startswith("1577836800000,")


@pytest.mark.parametrize("kind", sorted(ROW_FAULTS))
def test_an_error_body_and_an_empty_page_stay_as_they_are(kind: FaultKind) -> None:
    error = '{"code":-1121,"msg":"Invalid symbol."}'
    assert damaged_json(error, Fault(kind=kind)) == error
    assert damaged_json("[]", Fault(kind=kind)) == "[]"


@pytest.mark.parametrize(
    ("kind", "zips", "sums"),
    [("rows_missing", 1, 1), ("zip_cut", 1, 0), ("wrong_checksum", 0, 1), ("slow", 1, 0)],
)
def test_a_rule_for_a_file_concerns_its_checksum_where_that_says_the_same(
    kind: str, zips: int, sums: int
) -> None:
    plan = FaultPlan()
    plan.add([FaultRule.model_validate({"match": {"path": "/a.zip"}, "fault": {"kind": kind}})])
    assert bool(plan.choose("/a.zip", {})) == bool(zips)
    assert bool(plan.choose("/a.zip.CHECKSUM", {})) == bool(sums)


def test_a_star_stands_for_the_rest_of_a_path() -> None:
    plan = FaultPlan()
    rule = {"match": {"path": "/data/spot/daily/*"}, "fault": {"kind": "html200"}}
    plan.add([FaultRule.model_validate(rule)])
    assert plan.choose("/data/spot/daily/klines/x.zip", {}) is not None
    assert plan.choose("/data/spot/monthly/klines/x.zip", {}) is None
