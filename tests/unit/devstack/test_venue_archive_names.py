"""Keys of the archive: which can be, what they cover, when they appear."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadertask_contract.intervals import DAY_MS, HOUR_MS
from loadertask_devstack.venue.archive_listing import ListingQuery, listing
from loadertask_devstack.venue.archive_names import file_of, files_in, folders
from loadertask_devstack.venue.outages import moment_ms

NOW_MS = moment_ms("2026-11-21T13:37:42.5")


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(folders())), st.integers(0, 200))
def test_every_listed_file_is_found_by_its_key(folder: str, skipped: int) -> None:
    for number, file in enumerate(files_in(folder, NOW_MS, 5)):
        if number == skipped:
            assert file_of(file.key) == file
            assert file.key.startswith(folder)
            return


@pytest.mark.parametrize(
    ("key", "first", "days", "appears"),
    [
        ("daily/klines/BTCUSDT/1m/BTCUSDT-1m-2024-02-29", "2024-02-29", 1, "2024-03-01"),
        ("daily/trades/BTCUSDT/BTCUSDT-trades-2024-02-29", "2024-02-29", 1, "2024-03-01"),
        ("monthly/klines/BTCUSDT/1mo/BTCUSDT-1mo-2024-02", "2024-02-01", 29, "2024-03-04"),
        ("monthly/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2024-12", "2024-12-01", 31, "2025-01-06"),
        ("monthly/klines/BTCUSDT/1w/BTCUSDT-1w-2024-06", "2024-06-01", 30, "2024-07-01"),
    ],
)
def test_a_key_names_days_and_the_moment_of_its_appearance(
    key: str, first: str, days: int, appears: str
) -> None:
    file = file_of(f"data/spot/{key}.zip")
    assert file is not None
    assert (file.days.start, len(file.days)) == (moment_ms(first) // DAY_MS, days)
    assert file.appears_ms(5) == moment_ms(appears) + 5 * HOUR_MS


@pytest.mark.parametrize(
    "key",
    [
        "data/spot/daily/klines/BTCUSDT/1w/BTCUSDT-1w-2024-05-05.zip",
        "data/spot/daily/klines/BTCUSDT/1m/ETHUSDT-1m-2024-05-05.zip",
        "data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2024-05.zip",
        "data/spot/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2024-05-05.zip",
        "data/spot/daily/klines/NOSUCH/1m/NOSUCH-1m-2024-05-05.zip",
        "data/spot/daily/klines/BTCUSDT/1m/../1m/BTCUSDT-1m-2024-05-05.zip",
        "data/futures/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2024-05-05.zip",
    ],
)
def test_no_other_key_names_a_file(key: str) -> None:
    assert file_of(key) is None


def test_trades_of_the_busy_symbol_are_not_filed() -> None:
    file = file_of("data/spot/daily/trades/BUSYUSDT/BUSYUSDT-trades-2026-05-05.zip")
    assert file is not None
    assert not file.has_rows


@pytest.mark.parametrize("size", [3, 7, 1000])
def test_pages_of_a_listing_join_whatever_their_size(size: int) -> None:
    prefix, marker, keys = "data/spot/monthly/klines/SOLUSDT/1", "", []
    while True:
        page = listing(ListingQuery(prefix, marker, "/", size), NOW_MS, 5)
        keys += [part.partition("<")[0] for part in page.split("<Prefix>")[2:]]
        if "<NextMarker>" not in page:
            break
        marker = page.split("<NextMarker>")[1].partition("<")[0]
    assert keys == [f"{prefix}{rest}/" for rest in ("2h", "5m", "d", "h", "m", "mo", "s", "w")]
