from __future__ import annotations

import re
from pathlib import Path

from loadertask_operator.conditions import ConditionType, Reason

DOCUMENT = Path(__file__).parents[3] / "docs" / "reference" / "conditions.md"


def test_every_condition_and_reason_has_one_line_in_the_documentation_and_no_other_has() -> None:
    documented = re.findall(r"^\| `(\w+)` \|", DOCUMENT.read_text(), flags=re.MULTILINE)
    assert sorted(documented) == sorted([*ConditionType, *Reason])
