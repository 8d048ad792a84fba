"""How a worker ends: its exit codes (design contract §5), the numbers of sysexits(3)."""

from __future__ import annotations

from enum import Enum, IntEnum


class Recovery(Enum):
    """What is to be done about an attempt that ended with a code."""

    NONE = "none"
    GIVE_UP = "give_up"
    RETRY = "retry"
    RETRY_AFTER_BAN = "retry_after_ban"


class ExitCode(IntEnum):
    """Every code that a worker chooses; any other number is a crash (137 OOM, 139 ...)."""

    DONE = 0
    REFUSED_BY_VENUE = 65
    BANNED = 69
    TRY_AGAIN = 75
    BAD_CONFIGURATION = 78


_RECOVERY = {
    ExitCode.DONE: Recovery.NONE,
    ExitCode.REFUSED_BY_VENUE: Recovery.GIVE_UP,
    ExitCode.BANNED: Recovery.RETRY_AFTER_BAN,
    ExitCode.TRY_AGAIN: Recovery.RETRY,
    ExitCode.BAD_CONFIGURATION: Recovery.GIVE_UP,
}


def recovery_from(exit_code: int) -> Recovery:
    """What to do about an exit code of the worker's container; unknown codes are crashes: retry."""
    try:
        return _RECOVERY[ExitCode(exit_code)]
    except ValueError:
        return Recovery.RETRY
