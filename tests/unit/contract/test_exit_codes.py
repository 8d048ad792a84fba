from __future__ import annotations

from pathlib import Path

import pytest

from loadertask_contract.exit_codes import ExitCode, Recovery, recovery_from

DOCUMENTED = Path(__file__).parents[3] / "docs" / "reference" / "exit-codes.md"
RECOVERY_IN_WORDS = {
    "nothing": Recovery.NONE,
    "give up": Recovery.GIVE_UP,
    "retry": Recovery.RETRY,
    "retry, not before the ban ends": Recovery.RETRY_AFTER_BAN,
}


def documented_rows() -> list[list[str]]:
    lines = DOCUMENTED.read_text().splitlines()
    rows = [
        [cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines if "|" in line
    ]
    return [row for row in rows if row[0].isdigit() or row[0] == "other"]


def test_the_documentation_lists_every_code_and_what_is_done_about_it() -> None:
    rows = documented_rows()
    numbered = {int(row[0]): row for row in rows if row[0] != "other"}
    assert {code: row[1] for code, row in numbered.items()} == {
        code.value: code.name for code in ExitCode
    }
    for code, row in numbered.items():
        assert recovery_from(code) is RECOVERY_IN_WORDS[row[4]]


@pytest.mark.parametrize("code", [1, 2, 137, 139, 143, -9])
def test_any_other_code_is_a_crash_and_is_retried(code: int) -> None:
    assert recovery_from(code) is Recovery.RETRY
    assert [row[4] for row in documented_rows() if row[0] == "other"] == ["retry"]
