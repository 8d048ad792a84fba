"""The lines of the archive's CSV files, equal to REST's rows but for the unit. Pure.

No header, ``True`` and ``False``, times in milliseconds before 2025-01-01, in microseconds since.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from loadertask_contract.intervals import DAY_MS, Interval
from loadertask_devstack.venue.archive_names import ArchiveFile, FileKind
from loadertask_devstack.venue.candles import csv_texts, units_text
from loadertask_devstack.venue.history import History, Source
from loadertask_devstack.venue.outages import moment_ms
from loadertask_devstack.venue.trade_tape import AggTrade, Trade, TradeTape

_FIRST_MICROSECOND_DAY = moment_ms("2025-01-01") // DAY_MS
# A file is made as if all of its candles were closed, also the one that ends in the next month.
_CLOSED_AFTER_MS = 40 * DAY_MS


class Chunk(NamedTuple):
    """Some lines and where they come from."""

    lines: list[str]
    source: Source


def chunks(file: ArchiveFile, history: History, tape: TradeTape) -> Iterator[Chunk]:
    """The lines of a file, a day at a time where the days of a month would be too much at once."""
    if file.interval not in (None, Interval.SECOND_1):
        yield _kline_lines(file.interval, file.days, history)
        return
    for day in file.days:
        start_ms, end_ms = day * DAY_MS, (day + 1) * DAY_MS
        scale = 1000 if day >= _FIRST_MICROSECOND_DAY else 1
        if file.interval is Interval.SECOND_1:
            yield _kline_lines(file.interval, range(day, day + 1), history)
        elif file.kind is FileKind.TRADES:
            trades = tape.trades_between(start_ms, end_ms)
            yield Chunk([_trade_line(row, scale) for row in trades], Source.SYNTHETIC)
        else:
            rows = tape.agg_between(start_ms, end_ms)
            yield Chunk([_agg_line(row, scale) for row in rows], Source.SYNTHETIC)


def _kline_lines(interval: Interval, days: range, history: History) -> Chunk:
    start_ms, end_ms = days.start * DAY_MS, days.stop * DAY_MS
    candles = history.candles(interval, start_ms, end_ms, end_ms + _CLOSED_AFTER_MS)
    lines = csv_texts(candles.rows, microseconds=days.start >= _FIRST_MICROSECOND_DAY)
    return Chunk(lines, Source(candles.source))


def _trade_line(row: Trade, scale: int) -> str:
    return (
        f"{row.id},{units_text(row.price)},{units_text(row.quantity)},"
        f"{units_text(row.quote_quantity)},{row.time_ms * scale},{row.is_buyer_maker},True"
    )


def _agg_line(row: AggTrade, scale: int) -> str:
    return (
        f"{row.id},{_decimal(row.price)},{_decimal(row.quantity)},{row.first_id},"
        f"{row.last_id},{row.time_ms * scale},{row.is_buyer_maker},True"
    )


def _decimal(units: int) -> str:
    return units_text(units) if units else "0"  # a cancelled row, as in REST
