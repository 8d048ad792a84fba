"""Finds and reads recorded candles: the committed days and a folder of archive and REST files.

A file is known by its name until a day of it is asked for, then only that day is parsed. Whole
UTC days are the unit: the ragged ends of a file are left out. Knows nothing of synthetic data.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import zipfile
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path

from loadertask_contract.intervals import DAY_MS, Interval, next_open, parse_interval
from loadertask_contract.time_range import from_epoch_ms
from loadertask_devstack.errors import DevstackError
from loadertask_devstack.venue.candles import Candle, parse_fields
from loadertask_devstack.venue.codec import decode
from loadertask_devstack.venue.outages import moment_ms

_ARCHIVE = re.compile(r"(?P<symbol>[A-Z0-9]+)-(?P<interval>\w+)-(?P<date>\d{4}-\d\d-\d\d)\.zip")
_REST = re.compile(r"klines_(?P<symbol>[A-Z0-9]+)_(?P<interval>\d+[smhdwM])_.+\.jsonl\.gz")
_PACKED = re.compile(r"(?P<symbol>[A-Z0-9]+)-(?P<interval>\w+)-.+\.candles\.xz")


@dataclass(frozen=True, slots=True)
class Recording:
    """A file and the days (numbers since the epoch) that it covers from midnight to midnight."""

    path: Path
    symbol: str
    interval: Interval
    days: range

    def candles(self, day: int) -> list[Candle]:
        """The recorded candles that open on ``day``, ascending."""
        if self.path.suffix == ".zip":
            return _on_day(_archive_candles(self.path), day)
        if self.path.suffix == ".xz":
            return _on_day(_packed_candles(self.path), day)
        return [parse_fields(json.loads(line)) for line in _lines_of_day(self.path, day)]

    def __str__(self) -> str:
        first, last = (from_epoch_ms(day * DAY_MS).date() for day in (self.days[0], self.days[-1]))
        return f"{self.symbol} {self.interval} {first}..{last} ({self.path.name})"


def committed_recordings() -> list[Recording]:
    """The recordings inside the package."""
    folder = Path(str(resources.files("loadertask_devstack.venue") / "recordings"))
    found = ((path, _PACKED.fullmatch(path.name)) for path in sorted(folder.iterdir()))
    return [
        Recording(
            path, match["symbol"], parse_interval(match["interval"]), _covered(_ends(path), match)
        )
        for path, match in found
        if match
    ]


def recordings_in(folder: Path) -> list[Recording]:
    """The recordings of a folder with ``archive/*.zip`` and ``rest/klines_*.jsonl.gz``.

    Raises:
        DevstackError: the folder is not there, or a file in it is damaged.

    """
    if not folder.is_dir():
        raise DevstackError(
            f"the folder of recordings {folder} is not there",
            "give --recordings (or DEVSTACK_RECORDINGS) a folder with archive/ and rest/ in it",
        )
    return [*_archives(folder / "archive"), *_rest_files(folder / "rest")]


def archive_rows(path: Path) -> list[Candle]:
    """All candles of one archive file, after its sha256 was compared with its ``.CHECKSUM``.

    Raises:
        DevstackError: the checksum file is missing or names another sum, or the file is damaged.

    """
    sums = path.with_name(f"{path.name}.CHECKSUM")
    expected = sums.read_text().split()[0] if sums.is_file() else None
    actual = hashlib.sha256(path.read_bytes()).hexdigest()
    if expected != actual:
        raise DevstackError(
            f"{path.name} has sha256 {actual}, its .CHECKSUM says {expected}",
            "copy the archive file and its .CHECKSUM again",
        )
    return _archive_candles(path)


def _archives(folder: Path) -> Iterator[Recording]:
    for path in sorted(folder.glob("*.zip")):
        if match := _ARCHIVE.fullmatch(path.name):
            day = moment_ms(match["date"]) // DAY_MS
            interval = parse_interval(match["interval"])
            yield Recording(path, match["symbol"], interval, range(day, day + 1))


def _rest_files(folder: Path) -> Iterator[Recording]:
    for path in sorted(folder.glob("klines_*.jsonl.gz")):
        if match := _REST.fullmatch(path.name):
            times = _times(path)
            days = _covered((times[0], times[-1]), match)
            if days:
                yield Recording(path, match["symbol"], parse_interval(match["interval"]), days)


def _covered(ends: tuple[int, int], match: re.Match[str]) -> range:
    first_ms, last_ms = ends
    end_ms = next_open(parse_interval(match["interval"]), last_ms)
    return range(-(-first_ms // DAY_MS), end_ms // DAY_MS)


def _ends(path: Path) -> tuple[int, int]:
    candles = _packed_candles(path)
    return candles[0].open_time_ms, candles[-1].open_time_ms


def _on_day(candles: Iterable[Candle], day: int) -> list[Candle]:
    return [candle for candle in candles if candle.open_time_ms // DAY_MS == day]


@lru_cache(maxsize=4)
def _packed_candles(path: Path) -> list[Candle]:
    return decode(path.read_bytes())


def _archive_candles(path: Path) -> list[Candle]:
    try:
        with zipfile.ZipFile(path) as archive:
            text = archive.read(archive.namelist()[0]).decode()
    except (zipfile.BadZipFile, IndexError, UnicodeDecodeError) as error:
        raise DevstackError(f"{path.name} is damaged: {error}", "copy it again") from error
    lines = text.splitlines()
    has_header = bool(lines) and not lines[0][:1].isdigit()
    return [parse_fields(line.split(",")) for line in lines[has_header:]]


@lru_cache(maxsize=2)
def _lines(path: Path) -> list[str]:
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            return file.read().splitlines()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DevstackError(f"{path.name} is damaged: {error}", "copy it again") from error


@lru_cache(maxsize=2)
def _times(path: Path) -> list[int]:
    return [int(line[1 : line.index(",")]) for line in _lines(path)]


def _lines_of_day(path: Path, day: int) -> list[str]:
    times = _times(path)
    first, last = (bisect_left(times, (day + n) * DAY_MS) for n in (0, 1))
    return _lines(path)[first:last]
