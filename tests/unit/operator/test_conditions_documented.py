from __future__ import annotations

import re
from pathlib import Path

import loadertask_operator
from loadertask_operator.conditions import ConditionType, EventReason, Reason

SOURCES = Path(loadertask_operator.__file__).parent
DOCUMENT = Path(__file__).parents[3] / "docs" / "reference" / "conditions.md"


def test_every_condition_and_reason_has_one_line_in_the_documentation_and_no_other_has() -> None:
    documented = re.findall(r"^\| `(\w+)` \|", DOCUMENT.read_text(), flags=re.MULTILINE)
    assert sorted(documented) == sorted([*ConditionType, *Reason, *EventReason])


def test_every_event_has_a_reason_with_a_name() -> None:
    sources = [path.read_text() for path in SOURCES.rglob("*.py")]
    assert sum(len(re.findall(r"\bNotice\(", source)) for source in sources) > 10
    assert [found for source in sources for found in re.findall(r"\bNotice\(\s*f?\"", source)] == []
