"""Which files of the archive a range is loaded from, and where REST is asked instead. Pure.

A file is worth fetching where it holds at least what one REST page does, and of those the smallest:
daily files for seconds and minutes, monthly ones up to half hours, none above. Reasons and figures:
docs/decisions/040-which-files-of-the-archive.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from loadertask_contract.environment import Trades
from loadertask_contract.intervals import (
    DAY_MS,
    Interval,
    count_opens,
    next_open,
    open_at_or_before,
)
from loadertask_contract.time_range import from_epoch_ms
from loadertask_worker.windows import ROWS_PER_REQUEST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# A month's file appears within two weeks of the next month (binance-public-data#328).
_MONTH_APPEARS_MS = timedelta(days=15) // timedelta(milliseconds=1)
# Months whose file disagrees with the days' files and REST (binance-public-data#475).
_DISPUTED_MONTHS = frozenset({"2020-12", "2021-01", "2021-04", "2021-09"})
_SHORTEST_MONTH_DAYS = 28
_TRADE_FILES = {Trades.AGGREGATE: "aggTrades", Trades.RAW: "trades"}


@dataclass(frozen=True, slots=True)
class Segment:
    """Data time in [start_ms, end_ms) from one source: a file of the archive, or REST.

    ``file`` is the path of the file below the archive's address, without its ending.
    """

    start_ms: int
    end_ms: int
    file: str | None

    @property
    def stem(self) -> str:
        """The name of the file without its folder."""
        return (self.file or "").rpartition("/")[2]


def candle_segments(
    symbol: str, interval: Interval, start_ms: int, end_ms: int, now_ms: int
) -> Iterator[Segment]:
    """What [start_ms, end_ms) is made of, in order; ``now_ms`` is the venue's clock."""
    unit = _file_unit(interval)
    if unit is None:
        yield from _joined(iter([Segment(start_ms, end_ms, None)]))
        return
    is_daily = unit is Interval.DAY_1
    folder = f"data/spot/{'daily' if is_daily else 'monthly'}/klines/{symbol}/{interval}"

    def file_of(span: Segment) -> str | None:
        opens_ms = open_at_or_before(unit, span.start_ms)
        date = _date(opens_ms, unit)
        appears_ms = next_open(unit, opens_ms) + (0 if is_daily else _MONTH_APPEARS_MS)
        is_too_small = count_opens(interval, span.start_ms, span.end_ms) < ROWS_PER_REQUEST
        if is_too_small or appears_ms > now_ms or date in _DISPUTED_MONTHS:
            return None
        return f"{folder}/{symbol}-{interval}-{date}"

    yield from _joined(_spans(unit, start_ms, end_ms, file_of))


def trade_segments(
    symbol: str, kind: Trades, start_ms: int, end_ms: int, now_ms: int
) -> Iterator[Segment]:
    """The same for trades: always from the file of their day, since REST keeps the latest only."""
    name = _TRADE_FILES[kind]
    folder = f"data/spot/daily/{name}/{symbol}"

    def file_of(span: Segment) -> str | None:
        opens_ms = open_at_or_before(Interval.DAY_1, span.start_ms)
        if opens_ms + DAY_MS > now_ms:
            return None
        return f"{folder}/{symbol}-{name}-{_date(opens_ms, Interval.DAY_1)}"

    yield from _joined(_spans(Interval.DAY_1, start_ms, end_ms, file_of))


def _file_unit(interval: Interval) -> Interval | None:
    """What the files worth fetching span: a day, a month, or there are none."""
    if count_opens(interval, 0, DAY_MS) >= ROWS_PER_REQUEST:
        return Interval.DAY_1
    if count_opens(interval, 0, _SHORTEST_MONTH_DAYS * DAY_MS) >= ROWS_PER_REQUEST:
        return Interval.MONTH_1
    return None


def _spans(
    unit: Interval, start_ms: int, end_ms: int, file_of: Callable[[Segment], str | None]
) -> Iterator[Segment]:
    while start_ms < end_ms:
        border_ms = next_open(unit, open_at_or_before(unit, start_ms))
        span = Segment(start_ms, min(border_ms, end_ms), None)
        yield Segment(span.start_ms, span.end_ms, file_of(span))
        start_ms = border_ms


def _joined(segments: Iterator[Segment]) -> Iterator[Segment]:
    """REST in as few segments as possible, none of them empty."""
    rest: Segment | None = None
    for segment in segments:
        if segment.start_ms >= segment.end_ms:
            continue
        if segment.file is None:
            rest = Segment(rest.start_ms if rest else segment.start_ms, segment.end_ms, None)
            continue
        if rest:
            yield rest
            rest = None
        yield segment
    if rest:
        yield rest


def _date(opens_ms: int, unit: Interval) -> str:
    return f"{from_epoch_ms(opens_ms):{'%Y-%m-%d' if unit is Interval.DAY_1 else '%Y-%m'}}"
