"""Query strings to checked queries, as strictly as the venue does it. Pure: the time is handed in.

Order of refusals: duplicates, unknown names, empty values, missing ones, alphabets, meanings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from loadertask_contract.intervals import HOUR_MS, MINUTE_MS, Interval, open_at_or_before
from loadertask_devstack.venue import errors
from loadertask_devstack.venue.outages import moment_ms
from loadertask_devstack.venue.pages import KlinesQuery
from loadertask_devstack.venue.symbols import SYMBOLS, Symbol, SymbolStatus

DEFAULT_LIMIT, MAX_LIMIT = 500, 1000
DEFAULT_DEPTH, MAX_DEPTH = 100, 5000
_EARLIEST_MS = moment_ms("2017-01-01")
_MAX_AHEAD_MS = 10_000
_FIRST_MICROSECONDS = 10**14  # told by magnitude: 13 digits are ms, 16 are µs
_DIGITS = "^[0-9]{1,20}$"
_SYMBOL = "^[A-Z0-9-_.]{1,20}$"
_MAX_SYMBOLS = 100
_ZONE = re.compile(r"(?P<sign>[+-]?)(?P<hours>\d{1,2})(:(?P<minutes>[0-5]\d))?")
_TIME_UNITS = {"MICROSECOND": True, "microsecond": True, "MILLISECOND": False, "millisecond": False}


@dataclass(frozen=True, slots=True)
class ExchangeInfoQuery:
    """Which symbols to describe, and whether with their permission sets."""

    symbols: Sequence[Symbol]
    with_permission_sets: bool


@dataclass(frozen=True, slots=True)
class DepthQuery:
    """Whose order book, and how many levels of each side."""

    symbol: Symbol
    limit: int


def microseconds_asked(time_unit: str | None) -> bool:
    """Whether X-MBX-TIME-UNIT asks for microseconds.

    Raises:
        VenueError: -1194, none of the four spellings.

    """
    if time_unit is None:
        return False
    try:
        return _TIME_UNITS[time_unit]
    except KeyError:
        raise errors.invalid_time_unit() from None


def parse_pairs(query: str, known: Collection[str]) -> dict[str, str]:
    """Names and values of a raw query string; order does not matter.

    Raises:
        VenueError: -1101 twice or not wanted at all, -1102 not UTF-8, -1104 unknown, -1105 empty.

    """
    pairs = [part.partition("=")[::2] for part in query.split("&") if part]
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise errors.duplicate_values()
    if pairs and not known:
        raise errors.too_many_parameters(0, len(pairs))
    read = sum(name in known for name in names)
    if read < len(pairs):
        raise errors.unread_parameters(read, len(pairs))
    values = {name: _decoded(name, value) for name, value in pairs}
    for name, value in values.items():
        if not value:
            raise errors.empty_parameter(name)
    return values


def parse_klines(query: str, now_ms: int, *, microseconds: bool) -> KlinesQuery:
    """The query of ``klines``; raises VenueError as the venue would refuse it."""
    known = ("symbol", "interval", "startTime", "endTime", "timeZone", "limit")
    values = parse_pairs(query, known)
    for name in ("symbol", "interval"):
        if name not in values:
            raise errors.mandatory_missing(name)
    _check_symbol_characters("symbol", values["symbol"])
    numbers = {name: number_of(name, values) for name in ("startTime", "endTime", "limit")}
    symbol, interval = _known_symbol(values["symbol"]), _interval(values["interval"])
    return KlinesQuery(
        symbol=symbol,
        interval=interval,
        start_ms=moment_of(numbers["startTime"], now_ms, round_up=True),
        end_ms=moment_of(numbers["endTime"], now_ms, round_up=False),
        limit=page_limit(numbers["limit"]),
        offset_ms=_shift_ms(interval, _offset_ms(values.get("timeZone", "0"))),
        microseconds=microseconds,
    )


def parse_depth(query: str) -> DepthQuery:
    """The query of ``depth``; raises VenueError as the venue would refuse it."""
    values = parse_pairs(query, ("symbol", "limit", "symbolStatus"))
    symbol, limit = symbol_in(values), number_of("limit", values)
    if values.get("symbolStatus", symbol.status) != symbol.status:
        raise errors.other_symbol_status()
    if limit == 0:
        raise errors.invalid_data("limit")
    return DepthQuery(symbol, min(limit or DEFAULT_DEPTH, MAX_DEPTH))


def symbol_in(values: Mapping[str, str]) -> Symbol:
    """The mandatory symbol; raises VenueError -1100, -1102, -1121."""
    if "symbol" not in values:
        raise errors.mandatory_missing("symbol")
    _check_symbol_characters("symbol", values["symbol"])
    return _known_symbol(values["symbol"])


def parse_exchange_info(query: str) -> ExchangeInfoQuery:
    """The query of ``exchangeInfo``; raises VenueError as the venue would refuse it."""
    selectors = ("symbol", "symbols", "permissions", "symbolStatus")
    values = parse_pairs(query, (*selectors, "showPermissionSets"))
    chosen = [name for name in selectors if name in values]
    if len(chosen) > 1 and chosen != ["permissions", "symbolStatus"]:
        raise errors.bad_combination()
    shown = values.get("showPermissionSets", "true")
    if shown not in {"true", "false"}:
        raise errors.illegal_characters("showPermissionSets", "true|false")
    return ExchangeInfoQuery(_selected(values), shown == "true")


def _selected(values: Mapping[str, str]) -> list[Symbol]:
    if "symbol" in values:
        _check_symbol_characters("symbol", values["symbol"])
        return [_known_symbol(values["symbol"])]
    if "symbols" in values:
        return [_known_symbol(name) for name in _symbol_list(values["symbols"])]
    if "SPOT" not in values.get("permissions", "SPOT"):
        return []
    symbols = list(SYMBOLS.values())
    if "symbolStatus" not in values:
        return symbols
    asked = values["symbolStatus"]
    if asked not in {SymbolStatus.TRADING, SymbolStatus.HALT, SymbolStatus.BREAK}:
        raise errors.invalid_symbol_status()
    return [symbol for symbol in symbols if symbol.status == asked]


def _symbol_list(text: str) -> list[str]:
    try:
        names = json.loads(text)
    except ValueError:
        raise errors.mandatory_missing("symbols") from None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or not names:
        raise errors.mandatory_missing("symbols")
    if len(names) > _MAX_SYMBOLS:
        raise errors.too_many_values("symbols", _MAX_SYMBOLS)
    if len(set(names)) < len(names):
        raise errors.repeated_symbol()
    for name in names:
        _check_symbol_characters("symbols", name)
    return names


def _decoded(name: str, value: str) -> str:
    try:
        return unquote_to_bytes(value.replace("+", " ")).decode()
    except UnicodeDecodeError:
        raise errors.mandatory_missing(name) from None


def _check_symbol_characters(name: str, value: str) -> None:
    # Unicode symbols exist since December 2025; how the venue words its range since is unknown.
    ascii_part = "".join(character for character in value if character.isascii())
    is_legal = len(value) <= 20 and re.fullmatch(r"[A-Z0-9\-_.]*", ascii_part)
    if not is_legal or not all(c.isascii() or c.isalnum() for c in value):
        raise errors.illegal_characters(name, _SYMBOL)


def _known_symbol(name: str) -> Symbol:
    try:
        return SYMBOLS[name]
    except KeyError:
        raise errors.invalid_symbol() from None


def _interval(text: str) -> Interval:
    try:
        return Interval(text)
    except ValueError:
        raise errors.invalid_interval() from None


def number_of(name: str, values: Mapping[str, str]) -> int | None:
    """A whole number, None where it was not sent; raises VenueError -1100."""
    text = values.get(name)
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,20}", text):
        raise errors.illegal_characters(name, _DIGITS)
    return int(text)


def moment_of(time: int | None, now_ms: int, *, round_up: bool) -> int | None:
    """A time in milliseconds, moved into the range that the venue accepts."""
    if time is None:
        return None
    if time >= _FIRST_MICROSECONDS:
        time = -(-time // 1000) if round_up else time // 1000
    # Since December 2024 times out of range are moved into it instead of refused.
    return min(max(time, _EARLIEST_MS), now_ms + _MAX_AHEAD_MS)


def page_limit(limit: int | None) -> int:
    """How many rows to answer; raises VenueError -1130 for none at all."""
    if limit is None:
        return DEFAULT_LIMIT
    if limit == 0:
        raise errors.invalid_data("limit")
    return min(limit, MAX_LIMIT)


def _shift_ms(interval: Interval, offset_ms: int) -> int:
    """The offset, or 0 where it moves no boundary: hours of UTC are hours of +08:00 too."""
    is_shorter_than_day = interval[-1] in "smh"
    moves = not is_shorter_than_day or open_at_or_before(interval, offset_ms) != offset_ms
    return offset_ms if moves else 0


def _offset_ms(zone: str) -> int:
    match = _ZONE.fullmatch(zone.strip())
    if match is None:
        raise errors.invalid_data("timeZone")
    size_ms = int(match["hours"]) * HOUR_MS + int(match["minutes"] or 0) * MINUTE_MS
    offset_ms = -size_ms if match["sign"] == "-" else size_ms
    if not -12 * HOUR_MS <= offset_ms <= 14 * HOUR_MS:
        raise errors.invalid_data("timeZone")
    return offset_ms
