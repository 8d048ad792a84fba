"""How a worker ends: its exit codes (design contract §5), the numbers of sysexits(3)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum


class Recovery(Enum):
    """What is to be done about an attempt that ended with a code."""

    NONE = "none"
    GIVE_UP = "give_up"
    RETRY = "retry"
    RETRY_AFTER_BAN = "retry_after_ban"

    @property
    def in_words(self) -> str:
        """For people."""
        return _IN_WORDS[self]


_IN_WORDS = {
    Recovery.NONE: "nothing",
    Recovery.GIVE_UP: "give up",
    Recovery.RETRY: "retry",
    Recovery.RETRY_AFTER_BAN: "retry, not before the ban ends",
}


class ExitCode(IntEnum):
    """Every code that a worker chooses; any other number is a crash (137 OOM, 139 ...)."""

    DONE = 0
    REFUSED_BY_VENUE = 65
    BANNED = 69
    TRY_AGAIN = 75
    BAD_CONFIGURATION = 78


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an exit code stands for: for people, and what is to be done."""

    happened: str
    last_event: str
    recovery: Recovery


OUTCOMES = {
    ExitCode.DONE: Outcome(
        "everything is loaded, or a stop was asked for",
        "`finished` or `interrupted`",
        Recovery.NONE,
    ),
    ExitCode.REFUSED_BY_VENUE: Outcome(
        "the venue refuses the request: unknown symbol, another 4xx; or its answer cannot be right",
        "`error`",
        Recovery.GIVE_UP,
    ),
    ExitCode.BANNED: Outcome(
        "the venue banned the address (418); the event says until when",
        "`error`",
        Recovery.RETRY_AFTER_BAN,
    ),
    ExitCode.TRY_AGAIN: Outcome(
        "Kafka or the venue was unreachable beyond the patience, or SIGTERM without a stop",
        "`error`; after SIGTERM a `loading` with the reason `Terminated`",
        Recovery.RETRY,
    ),
    ExitCode.BAD_CONFIGURATION: Outcome(
        "the environment, a topic or a right cannot be used; every problem is named",
        "`error`",
        Recovery.GIVE_UP,
    ),
}

CRASH = Outcome(
    "a crash (137: killed, often out of memory; 139: segmentation fault; 1: a bug)",
    "none, or `error` with the reason `Crashed` of a bug",
    Recovery.RETRY,
)
"""What any other code stands for."""


def recovery_from(exit_code: int) -> Recovery:
    """What to do about an exit code of the worker's container; unknown codes are crashes: retry."""
    try:
        return OUTCOMES[ExitCode(exit_code)].recovery
    except ValueError:
        return CRASH.recovery
