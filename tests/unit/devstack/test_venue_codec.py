"""The compact form of recordings keeps every digit."""

from __future__ import annotations

import lzma
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadertask_devstack.venue.candles import Candle, csv_text
from loadertask_devstack.venue.codec import UnreadableRecordingError, decode, encode
from loadertask_devstack.venue.daemon import default_recordings
from loadertask_devstack.venue.outages import moment_ms
from loadertask_devstack.venue.record import main
from loadertask_devstack.venue.recordings import committed_recordings

numbers = st.integers(min_value=0, max_value=10**16)
DAYS = ("2020-01-01", "2020-01-02", "2020-01-03")


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(*[numbers] * 11).map(Candle._make), max_size=20))
def test_decoding_gives_back_what_was_encoded(candles: list[Candle]) -> None:
    assert decode(encode(candles)) == candles


@pytest.mark.parametrize(
    "packed",
    [b"", b"not xz", encode([])[:-3], lzma.compress(b"[]"), lzma.compress(b'{"format": "else"}')],
)
def test_foreign_or_damaged_bytes_are_refused(packed: bytes) -> None:
    with pytest.raises(UnreadableRecordingError):
        decode(packed)


def test_the_committed_recording_is_three_whole_days_and_small() -> None:
    (recording,) = committed_recordings()
    assert recording.days == range(*(moment_ms(f"2020-01-0{d}") // 86_400_000 for d in (1, 4)))
    assert [len(recording.candles(day)) for day in recording.days] == [1440] * 3
    assert recording.path.stat().st_size < 300_000


def test_the_committed_recording_equals_the_archive_digit_for_digit(tmp_path: Path) -> None:
    folder = default_recordings({})
    if folder is None:
        pytest.skip("the original archive files are not beside this checkout")
    (recording,) = committed_recordings()
    for text, day in zip(DAYS, recording.days, strict=True):
        with zipfile.ZipFile(folder / "archive" / f"BTCUSDT-1m-{text}.zip") as archive:
            original = archive.read(archive.namelist()[0]).decode().splitlines()
        assert [csv_text(candle) for candle in recording.candles(day)] == original
    assert main(["--archive", str(folder / "archive"), "--output", str(tmp_path), *DAYS]) == 0
    assert (tmp_path / recording.path.name).read_bytes() == recording.path.read_bytes()


def test_recording_a_file_whose_checksum_differs_fails_with_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "BTCUSDT-1m-2020-01-01.zip").write_bytes(b"damaged")
    (tmp_path / "BTCUSDT-1m-2020-01-01.zip.CHECKSUM").write_text(f"{'0' * 64}  x.zip")
    assert main(["--archive", str(tmp_path), "--output", str(tmp_path), "2020-01-01"]) == 1
    assert "BTCUSDT-1m-2020-01-01.zip has sha256" in capsys.readouterr().err
