"""What a task loads: the values of ``TYPE`` (design contract §1) and their interval suffixes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from loadertask_contract.intervals import Interval, parse_interval


class TaskType(StrEnum):
    """The five kinds of load, without interval: ``api_`` is history, ``ws_`` is live."""

    API_CANDLES = "api_candles"
    API_TRADES = "api_trades"
    WS_CANDLES = "ws_candles"
    WS_TRADES = "ws_trades"
    WS_ORDERBOOK = "ws_orderbook"

    @property
    def is_live(self) -> bool:
        """Whether it follows the venue's streams instead of loading a range of time."""
        return self.value.startswith("ws_")

    @property
    def has_candles(self) -> bool:
        """Whether its records are candles, which have an interval."""
        return self.value.endswith("_candles")


_ALIASES = {"ws_depth": TaskType.WS_ORDERBOOK}
_CANDLE_TYPES = tuple(t for t in TaskType if t.has_candles)


@dataclass(frozen=True, slots=True)
class LoadType:
    """A parsed ``TYPE``: the task type and the interval of its suffix, if it had one."""

    task_type: TaskType
    interval: Interval | None = None

    def __str__(self) -> str:
        """The spelling that parses to this value."""
        return f"{self.task_type}_{self.interval}" if self.interval else str(self.task_type)


def parse_load_type(text: str) -> LoadType:
    """Parse ``api_candles``, ``api_candles_1m``, ``ws_depth`` and so on.

    Raises:
        ValueError: unknown type, or a suffix that is no interval of the venue.

    """
    if text in _ALIASES:
        return LoadType(_ALIASES[text])
    if text in tuple(TaskType):
        return LoadType(TaskType(text))
    for task_type in _CANDLE_TYPES:
        prefix = f"{task_type}_"
        if text.startswith(prefix):
            return LoadType(task_type, parse_interval(text.removeprefix(prefix)))
    known = ", ".join([*TaskType, *_ALIASES])
    raise ValueError(
        f"{text!r} is not a task type: use one of {known};"
        " candle types may end in an interval, as in api_candles_1m"
    )
