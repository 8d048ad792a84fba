"""Query strings: the venue's defaults, units and clamps, and the code of every refusal."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from loadertask_contract.intervals import HOUR_MS, MINUTE_MS
from loadertask_devstack.venue.errors import VenueError
from loadertask_devstack.venue.outages import moment_ms
from loadertask_devstack.venue.pages import KlinesQuery
from loadertask_devstack.venue.parameters import (
    microseconds_asked,
    parse_exchange_info,
    parse_klines,
    parse_pairs,
)

NOW_MS = moment_ms("2026-11-21T13:00")
ASKED = "symbol=BTCUSDT&interval=1m"


def klines(query: str) -> KlinesQuery:
    return parse_klines(query, NOW_MS, microseconds=False)


def code_of(query: str) -> int:
    with pytest.raises(VenueError) as caught:
        klines(query)
    return caught.value.code


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", -1102),
        ("symbol=BTCUSDT", -1102),
        ("interval=1m", -1102),
        ("symbol=%FF%FE&interval=1m", -1102),
        ("symbol=btcusdt&interval=1m", -1100),
        ("symbol=BTC/USDT&interval=1m", -1100),
        ("symbol=BTCUSDTBTCUSDTBTCUSDT&interval=1m", -1100),
        (f"{ASKED}&limit=abc", -1100),
        (f"{ASKED}&limit=-5", -1100),
        (f"{ASKED}&startTime=2020-01-01", -1100),
        (f"{ASKED}&startTime=-1", -1100),
        (f"{ASKED}&endTime=1.5", -1100),
        (f"{ASKED}&symbol=BTCUSDT", -1101),
        (f"{ASKED}&foo=1", -1104),
        (f"{ASKED}&recvWindow=5000", -1104),
        (f"{ASKED}&starttime=1", -1104),
        ("symbol=&interval=1m", -1105),
        (f"{ASKED}&startTime=", -1105),
        ("symbol=BTCUSDT&interval=7m", -1120),
        ("symbol=BTCUSDT&interval=1H", -1120),
        ("symbol=NOSUCH&interval=1m", -1121),
        (f"{ASKED}&limit=0", -1130),
        (f"{ASKED}&timeZone=15", -1130),
        (f"{ASKED}&timeZone=-12:01", -1130),
        (f"{ASKED}&timeZone=UTC", -1130),
    ],
)
def test_a_bad_query_is_refused_with_its_code(query: str, code: int) -> None:
    assert code_of(query) == code


def test_the_refusal_of_unread_parameters_counts_them() -> None:
    with pytest.raises(VenueError, match=r"read '2' parameter\(s\) but was sent '4'"):
        klines(f"{ASKED}&a=1&b=2")


@pytest.mark.parametrize(("limit", "rows"), [("", 500), ("&limit=1", 1), ("&limit=5000", 1000)])
def test_the_limit_defaults_to_500_and_is_capped_silently_at_1000(limit: str, rows: int) -> None:
    assert klines(ASKED + limit).limit == rows


@pytest.mark.parametrize(
    ("sent", "start_ms", "end_ms"),
    [
        (1577836800000, 1577836800000, 1577836800000),
        (1577836800000001, 1577836800001, 1577836800000),
        (0, moment_ms("2017-01-01"), moment_ms("2017-01-01")),
        (9999999999999, NOW_MS + 10_000, NOW_MS + 10_000),
    ],
)
def test_times_are_ms_or_us_by_magnitude_and_moved_into_range(
    sent: int, start_ms: int, end_ms: int
) -> None:
    query = klines(f"{ASKED}&startTime={sent}&endTime={sent}")
    assert (query.start_ms, query.end_ms) == (start_ms, end_ms)


@pytest.mark.parametrize(
    ("zone", "offset_ms"),
    [("0", 0), ("8", 8 * HOUR_MS), ("-1:00", -HOUR_MS), ("05:45", 345 * MINUTE_MS),
     ("-12:00", -12 * HOUR_MS), ("14:00", 14 * HOUR_MS)],
)  # fmt: skip
def test_a_time_zone_shifts_days(zone: str, offset_ms: int) -> None:
    query = klines(f"symbol=BTCUSDT&interval=1d&timeZone={zone}")
    assert query.offset_ms == offset_ms


@pytest.mark.parametrize(("interval", "offset_ms"), [("1h", 0), ("4h", 0), ("6h", 8 * HOUR_MS)])
def test_a_time_zone_that_moves_no_boundary_is_none(interval: str, offset_ms: int) -> None:
    assert klines(f"symbol=BTCUSDT&interval={interval}&timeZone=8").offset_ms == offset_ms


def test_a_unicode_symbol_is_known_by_its_percent_encoding() -> None:
    name = "币安人生USDT"
    assert klines(f"symbol={quote(name)}&interval=1m").symbol.name == name


@pytest.mark.parametrize(
    ("unit", "asked"),
    [(None, False), ("MICROSECOND", True), ("microsecond", True), ("MILLISECOND", False)],
)
def test_the_time_unit_is_one_of_four_spellings(unit: str | None, asked: bool) -> None:
    assert microseconds_asked(unit) is asked


def test_another_time_unit_is_refused() -> None:
    with pytest.raises(VenueError) as caught:
        microseconds_asked("Microsecond")
    assert caught.value.code == -1194


def test_an_endpoint_without_parameters_takes_none() -> None:
    assert parse_pairs("", ()) == {}
    with pytest.raises(VenueError, match="expected '0' and received '1'") as caught:
        parse_pairs("x=1", ())
    assert caught.value.code == -1101


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("symbol=NOSUCH", -1121),
        ("symbol=btcusdt", -1100),
        ('symbols=["BTCUSDT","NOSUCH"]', -1121),
        ("symbols=BTCUSDT", -1102),
        ("symbols=[]", -1102),
        ('symbols=["BTCUSDT","BTCUSDT"]', -1151),
        (f"symbols=[{','.join(chr(34) + f'S{n}' + chr(34) for n in range(101))}]", -1101),
        ("symbol=BTCUSDT&symbolStatus=TRADING", -1128),
        ('symbol=BTCUSDT&symbols=["BTCUSDT"]', -1128),
        ("symbolStatus=CANCEL_ONLY", -1122),
        ("showPermissionSets=maybe", -1100),
        ("limit=5", -1104),
    ],
)
def test_a_bad_selection_of_symbols_is_refused_with_its_code(query: str, code: int) -> None:
    with pytest.raises(VenueError) as caught:
        parse_exchange_info(query)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("symbol=BTCUSDT", ["BTCUSDT"]),
        ("symbols=%5B%22ETHUSDT%22,%22BTCUSDT%22%5D", ["ETHUSDT", "BTCUSDT"]),
        ("symbolStatus=HALT", ["HALTUSDT"]),
        ("symbolStatus=BREAK&permissions=SPOT", ["BREAKUSDT"]),
        ("permissions=LEVERAGED", []),
    ],
)
def test_symbols_are_selected_by_name_or_status(query: str, names: list[str]) -> None:
    assert [symbol.name for symbol in parse_exchange_info(query).symbols] == names
