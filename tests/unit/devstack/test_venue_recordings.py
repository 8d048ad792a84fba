"""Recordings of a folder: what they cover, what damage says, roll-ups equal to the venue's."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path

import pytest

from loadertask_contract.intervals import DAY_MS, Interval
from loadertask_devstack.errors import DevstackError
from loadertask_devstack.venue.candles import parse_fields, row_text
from loadertask_devstack.venue.daemon import default_recordings
from loadertask_devstack.venue.outages import moment_ms
from loadertask_devstack.venue.recordings import recordings_in
from loadertask_devstack.venue.rollup import roll_up_all

FOLDER = default_recordings({})
needs_folder = pytest.mark.skipif(FOLDER is None, reason="no recorded data beside this checkout")


def row(time_ms: int) -> str:
    fields: list[str | int] = [
        time_ms,
        "1.0",
        "1.0",
        "1.0",
        "1.0",
        "2.0",
        time_ms + 59_999,
        "2.0",
        1,
        "1.0",
        "1.0",
    ]
    return row_text(parse_fields([*fields, "0"]))


def test_only_whole_days_of_a_rest_file_are_served(tmp_path: Path) -> None:
    start_ms, end_ms = moment_ms("2024-05-01T12:00"), moment_ms("2024-05-04T06:00")
    (tmp_path / "rest").mkdir()
    path = tmp_path / "rest" / "klines_ETHUSDT_1h_part.jsonl.gz"
    with gzip.open(path, "wt") as file:
        file.writelines(f"{row(time_ms)}\n" for time_ms in range(start_ms, end_ms, 3_600_000))
    (recording,) = recordings_in(tmp_path)
    first = moment_ms("2024-05-02") // DAY_MS
    assert recording.days == range(first, first + 2)
    assert [len(recording.candles(day)) for day in recording.days] == [24, 24]


def test_an_archive_file_with_a_header_and_microseconds_is_read(tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    line = "1735689600000000,1.0,1.0,1.0,1.0,2.0,1735689659999999,2.0,1,1.0,1.0,0"
    with zipfile.ZipFile(tmp_path / "archive" / "ETHUSDT-1m-2025-01-01.zip", "w") as archive:
        archive.writestr("ETHUSDT-1m-2025-01-01.csv", f"open_time,open,...\n{line}\n")
    (recording,) = recordings_in(tmp_path)
    (candle,) = recording.candles(moment_ms("2025-01-01") // DAY_MS)
    assert (candle.open_time_ms, candle.close_time_ms) == (1735689600000, 1735689659999)


def test_a_missing_folder_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(DevstackError, match="nowhere is not there"):
        recordings_in(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "name", ["archive/ETHUSDT-1m-2025-01-01.zip", "rest/klines_ETHUSDT_1m_x.jsonl.gz"]
)
def test_a_damaged_file_is_an_error_that_names_it(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).write_bytes(b"damaged")
    with pytest.raises(DevstackError, match=Path(name).name):
        recordings_in(tmp_path)[0].candles(moment_ms("2025-01-01") // DAY_MS)


@needs_folder
def test_the_venues_own_days_are_the_roll_up_of_its_minutes_and_hours() -> None:
    assert FOLDER is not None
    recordings = recordings_in(FOLDER)
    (daily,) = (r for r in recordings if r.interval is Interval.DAY_1)
    compared = 0
    for recording in recordings:
        for day in recording.days if recording is not daily else ():
            assert roll_up_all(recording.candles(day), Interval.DAY_1) == daily.candles(day)
            compared += 1
    assert compared > 90


@needs_folder
def test_a_rest_row_is_served_with_the_very_digits_it_was_recorded_with() -> None:
    assert FOLDER is not None
    for recording in recordings_in(FOLDER):
        if recording.path.suffix == ".gz" and recording.interval is not Interval.MINUTE_1:
            with gzip.open(recording.path, "rt") as file:
                lines = [json.dumps(json.loads(line), separators=(",", ":")) for line in file]
            served = [row_text(c) for day in recording.days for c in recording.candles(day)]
            assert set(served) <= set(lines)
            assert len(served) >= len(lines) - 24
