"""When the venue's engine was down: no candle opens inside, the one before may be cut short.

The real windows (2017-2023); ``Outages`` answers for a symbol's whole life, where the time
before its listing and after its delisting is one more outage. Pure.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from loadertask_contract.intervals import DAY_MS, MINUTE_MS
from loadertask_contract.time_range import epoch_ms
from loadertask_devstack.venue.candles import Candle


class Outage(NamedTuple):
    """[start_ms, end_ms) without an engine, epoch milliseconds."""

    start_ms: int
    end_ms: int


def moment_ms(text: str) -> int:
    """Epoch milliseconds of an ISO 8601 date-time; UTC where it names no zone."""
    moment = datetime.fromisoformat(text)
    return epoch_ms(moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment)


# First missing instant, first instant with data again. Exchange-wide; taken from the venue's
# own answers (binance/binance-public-data issues 28, 84, 169, 316, 365) and a scan of its candles.
REAL_OUTAGES: tuple[Outage, ...] = tuple(
    Outage(moment_ms(start), moment_ms(end))
    for start, end in (
        ("2017-09-06T16:00:00.001", "2017-09-06T23:00"),
        ("2017-12-04T06:00", "2017-12-04T06:49"),
        ("2017-12-18T10:00", "2017-12-18T10:14"),
        ("2017-12-18T12:29", "2017-12-18T13:34"),
        ("2018-01-04T03:00:14.839", "2018-01-04T05:06"),
        ("2018-02-08T00:28:14.789", "2018-02-09T09:58"),
        ("2018-02-10T06:00", "2018-02-10T06:15"),
        ("2018-02-11T04:00", "2018-02-11T04:35"),
        ("2018-06-26T02:00", "2018-06-26T12:00"),
        ("2018-06-27T13:00", "2018-06-27T14:45"),
        ("2018-07-04T00:22", "2018-07-04T08:00"),
        ("2018-10-19T06:00", "2018-10-19T09:30"),
        ("2018-11-14T02:00", "2018-11-14T09:00"),
        ("2019-03-12T02:00", "2019-03-12T08:00"),
        ("2019-05-15T03:00", "2019-05-15T13:00"),
        ("2019-06-07T21:14", "2019-06-07T22:15"),
        ("2019-08-15T02:00", "2019-08-15T10:00"),
        ("2019-11-13T02:00", "2019-11-13T04:20"),
        ("2019-11-13T05:30", "2019-11-13T05:33"),
        ("2019-11-25T02:00", "2019-11-25T04:00"),
        ("2020-02-09T02:00", "2020-02-09T03:00"),
        ("2020-02-19T11:36", "2020-02-19T17:30"),
        ("2020-03-04T09:22", "2020-03-04T11:30"),
        ("2020-04-25T02:00", "2020-04-25T04:30"),
        ("2020-06-28T02:00", "2020-06-28T05:30"),
        ("2020-11-30T06:00", "2020-11-30T07:00"),
        ("2020-12-21T13:48", "2020-12-21T18:00"),
        ("2020-12-25T02:00", "2020-12-25T03:00"),
        ("2021-02-11T03:41", "2021-02-11T05:00"),
        ("2021-03-06T02:00", "2021-03-06T03:30"),
        ("2021-04-20T02:00", "2021-04-20T04:30"),
        ("2021-04-25T04:01", "2021-04-25T08:45"),
        ("2021-08-13T02:00", "2021-08-13T06:30"),
        ("2021-09-29T07:00", "2021-09-29T09:00"),
        ("2023-03-24T12:39:41.601", "2023-03-24T14:00"),
    )
)


class Outages:
    """The outages of one symbol, for quick answers about a minute or a day."""

    def __init__(self, windows: Iterable[Outage]) -> None:
        self._windows = sorted(windows)
        self._starts = [window.start_ms for window in self._windows]
        # The window that reaches furthest among all that start no later: windows may overlap.
        self._reaches: list[int] = []
        for window in self._windows:
            self._reaches.append(max([window.end_ms, *self._reaches[-1:]]))

    def touch(self, start_ms: int, end_ms: int) -> bool:
        """Whether the engine was down at any time in [start_ms, end_ms)."""
        index = bisect_right(self._starts, end_ms - 1)
        return index > 0 and self._reaches[index - 1] > start_ms

    def cover(self, day: int) -> bool:
        """Whether one outage covers the whole UTC day with this number since the epoch."""
        index = bisect_right(self._starts, day * DAY_MS)
        return index > 0 and self._reaches[index - 1] >= (day + 1) * DAY_MS

    def apply(self, minutes: Iterable[Candle]) -> list[Candle]:
        """The minutes that exist; one in whose course an outage begins is cut short."""
        return [cut for minute in minutes if (cut := self._applied(minute)) is not None]

    def _applied(self, minute: Candle) -> Candle | None:
        opened = minute.open_time_ms
        index = bisect_right(self._starts, opened)
        if index > 0 and self._reaches[index - 1] > opened:
            return None
        if index < len(self._starts) and self._starts[index] < opened + MINUTE_MS:
            return minute._replace(close_time_ms=self._starts[index] - 1)
        return minute
