"""exchangeInfo: every status, keys of the venue, limits as configured."""

from __future__ import annotations

from loadertask_devstack.venue.symbols import SYMBOLS, SymbolStatus, exchange_info, symbol_info


def test_every_status_and_a_unicode_name_are_there() -> None:
    assert {symbol.status for symbol in SYMBOLS.values()} == set(SymbolStatus)
    assert any(not name.isascii() for name in SYMBOLS)


def test_ticks_and_steps_multiply_without_rounding() -> None:
    assert all(s.price_decimals + s.amount_decimals <= 8 for s in SYMBOLS.values())


def test_a_symbol_has_empty_permissions_and_keys_that_nobody_knows() -> None:
    info = symbol_info(SYMBOLS["BTCUSDT"])
    assert info["permissions"] == []
    assert "replayUnknownFlag" in info
    price, lot = info["filters"][:2]
    assert (price["tickSize"], lot["stepSize"]) == ("0.01000000", "0.00001000")
    assert symbol_info(SYMBOLS["BTCUSDT"], with_permission_sets=False)["permissionSets"] == []


def test_the_limits_are_those_in_force() -> None:
    info = exchange_info([], server_time=5, weight_per_minute=7, raw_per_five_minutes=9)
    limits = {limit["rateLimitType"]: limit["limit"] for limit in info["rateLimits"]}
    assert (limits["REQUEST_WEIGHT"], limits["RAW_REQUESTS"]) == (7, 9)
    assert info["serverTime"] == 5
