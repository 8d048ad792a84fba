from __future__ import annotations

import pytest

from loadertask_contract.exit_codes import ExitCode, Recovery, recovery_from


@pytest.mark.parametrize(
    ("code", "recovery"),
    [
        (0, Recovery.NONE),
        (65, Recovery.GIVE_UP),
        (69, Recovery.RETRY_AFTER_BAN),
        (75, Recovery.RETRY),
        (78, Recovery.GIVE_UP),
        (1, Recovery.RETRY),
        (137, Recovery.RETRY),
        (-9, Recovery.RETRY),
    ],
)
def test_every_exit_code_has_one_recovery(code: int, recovery: Recovery) -> None:
    assert recovery_from(code) is recovery


def test_every_code_of_the_enum_is_in_the_table_above() -> None:
    assert sorted(ExitCode) == [0, 65, 69, 75, 78]
