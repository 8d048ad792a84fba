"""The archive's tree: which file a key names, when it appears, and which keys there are. Pure.

Follows binance-public-data (README, download scripts): intervals are named as in REST except the
month (``1mo``), the daily tree has none above ``1d``. When files appear is a setting.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

from loadertask_contract.intervals import DAY_MS, HOUR_MS, Interval
from loadertask_devstack.venue.symbols import SYMBOLS, Symbol

ROOT = "data/spot/"
# The venue's listing is on a host of its own, whose path is the name of the bucket.
LISTING_PATH = "/data.binance.vision"
_KEY = re.compile(
    r"data/spot/(?P<tree>daily|monthly)/"
    r"(?:(?P<klines>klines)/(?P<ksymbol>[^/]+)/(?P<interval>[^/]+)"
    r"|(?P<kind>trades|aggTrades)/(?P<symbol>[^/]+))"
    r"/(?P<stem>[^/]+)-(?P<date>\d{4}-\d\d(?:-\d\d)?)\.zip"
)
_MONTH_NAME = "1mo"


def is_archive_path(path: str) -> bool:
    """Whether the archive answers, and not the API."""
    return path.startswith(f"/{ROOT}") or path == LISTING_PATH


class FileKind(StrEnum):
    """What the rows of a file are, by the venue's names."""

    KLINES = "klines"
    TRADES = "trades"
    AGG_TRADES = "aggTrades"


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """One zip of the archive; ``days`` are numbers since the epoch, interval None for trades."""

    kind: FileKind
    symbol: Symbol
    interval: Interval | None
    days: range
    is_monthly: bool

    @property
    def stem(self) -> str:
        """The name of the file without its ending, and of the CSV inside."""
        first = _date(self.days.start)
        text = f"{first:%Y-%m}" if self.is_monthly else f"{first:%Y-%m-%d}"
        part = self.kind.value if self.interval is None else interval_name(self.interval)
        return f"{self.symbol.name}-{part}-{text}"

    @property
    def folder(self) -> str:
        """The prefix of its key."""
        tree = "monthly" if self.is_monthly else "daily"
        part = "" if self.interval is None else f"{interval_name(self.interval)}/"
        return f"{ROOT}{tree}/{self.kind}/{self.symbol.name}/{part}"

    @property
    def key(self) -> str:
        """Where it is."""
        return f"{self.folder}{self.stem}.zip"

    @property
    def has_rows(self) -> bool:
        """Whether the symbol's life leaves something to write; a day of a busy one is too much."""
        symbol, start_ms, end_ms = self.symbol, self.days.start * DAY_MS, self.days.stop * DAY_MS
        ends = [symbol.closed_ms] if self.interval else [symbol.closed_ms, symbol.halted_ms]
        return (
            end_ms > symbol.listed_ms
            and all(end is None or start_ms < end for end in ends)
            and not any(o.start_ms <= start_ms and end_ms <= o.end_ms for o in symbol.outages)
            and not (symbol.busy and self.interval is None)
        )

    def appears_ms(self, delay_h: float) -> int:
        """When it is there: the day after, or the first Monday of the month after, plus a delay."""
        after = self.days.stop
        if self.is_monthly:
            after += -_date(after).weekday() % 7
        return after * DAY_MS + round(delay_h * HOUR_MS)


def interval_name(interval: Interval) -> str:
    """The interval in keys: disks that know no case must tell minute and month apart."""
    return _MONTH_NAME if interval is Interval.MONTH_1 else interval.value


def file_of(key: str) -> ArchiveFile | None:
    """The file that a key names, None for all keys that can never be."""
    match = _KEY.fullmatch(key)
    if match is None:
        return None
    is_monthly = match["tree"] == "monthly"
    symbol = SYMBOLS.get(match["ksymbol"] or match["symbol"])
    interval = _interval(match["interval"], is_monthly=is_monthly) if match["klines"] else None
    days = _days(match["date"], is_monthly=is_monthly)
    if symbol is None or days is None or (match["klines"] and interval is None):
        return None
    file = ArchiveFile(
        FileKind(match["klines"] or match["kind"]), symbol, interval, days, is_monthly
    )
    return file if file.key == key else None


def files_in(folder: str, now_ms: int, delay_h: float) -> Iterator[ArchiveFile]:
    """The files that a folder could have by now, ascending; nothing for other prefixes."""
    probe = _first_file(folder)
    while probe is not None and probe.appears_ms(delay_h) <= now_ms:
        if probe.has_rows:
            yield probe
        probe = _following(probe)


def folders() -> Iterator[str]:
    """All folders that have files."""
    for symbol in SYMBOLS.values():
        for is_monthly in (False, True):
            for kind in (FileKind.TRADES, FileKind.AGG_TRADES):
                yield ArchiveFile(kind, symbol, None, range(1), is_monthly).folder
            for interval in Interval:
                if is_monthly or _is_daily(interval):
                    yield ArchiveFile(
                        FileKind.KLINES, symbol, interval, range(1), is_monthly
                    ).folder


def _first_file(folder: str) -> ArchiveFile | None:
    parts = folder.split("/")
    symbol = SYMBOLS.get(parts[4]) if len(parts) > 5 else None
    if symbol is None:
        return None
    is_monthly, name = parts[2] == "monthly", parts[5] or parts[3]
    first = _date(symbol.listed_ms // DAY_MS)
    text = f"{first:%Y-%m}" if is_monthly else f"{first:%Y-%m-%d}"
    return file_of(f"{folder}{symbol.name}-{name}-{text}.zip")


def _following(file: ArchiveFile) -> ArchiveFile:
    first = file.days.stop
    length = _days_of_month(_date(first)) if file.is_monthly else 1
    days = range(first, first + length)
    return ArchiveFile(file.kind, file.symbol, file.interval, days, file.is_monthly)


def _interval(name: str, *, is_monthly: bool) -> Interval | None:
    found = {interval_name(interval): interval for interval in Interval}.get(name)
    return found if found is None or is_monthly or _is_daily(found) else None


def _is_daily(interval: Interval) -> bool:
    return interval not in (Interval.DAY_3, Interval.WEEK_1, Interval.MONTH_1)


def _days(text: str, *, is_monthly: bool) -> range | None:
    try:
        first = date.fromisoformat(f"{text}-01" if is_monthly else text)
    except ValueError:
        return None
    number = (first - date(1970, 1, 1)).days
    return range(number, number + (_days_of_month(first) if is_monthly else 1))


def _days_of_month(first: date) -> int:
    following = (first.replace(day=1) + timedelta(days=32)).replace(day=1)
    return (following - first.replace(day=1)).days


def _date(day: int) -> date:
    return datetime.fromtimestamp(day * DAY_MS / 1000, UTC).date()
