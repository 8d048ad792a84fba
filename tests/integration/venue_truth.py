"""What the venue has, spelled by hand as the contract's records: what a topic must hold."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from loadertask_contract.intervals import parse_interval
from loadertask_devstack.kafka.topics import Record

SYMBOL = "BTCUSDT"
Get = Callable[[str], Awaitable[Any]]

_CANDLE_NAMES = (
    "open_time", "open", "high", "low", "close", "volume", "close_time", "quote_asset_volume",
    "number_of_trades", "taker_buy_base_asset_volume", "taker_buy_quote_asset_volume",
)  # fmt: skip


async def true_candles(get: Get, interval: str, start_ms: int, end_ms: int) -> AsyncIterator[bytes]:
    """The candles that open in [start_ms, end_ms), by REST."""
    path = f"/api/v3/klines?symbol={SYMBOL}&interval={parse_interval(interval)}&limit=1000"
    while rows := await get(f"{path}&startTime={start_ms}&endTime={end_ms - 1}"):
        for row in rows:
            numbers = ",".join(
                f'"{name}":{value}' for name, value in zip(_CANDLE_NAMES, row, strict=False)
            )
            yield f'{{{numbers},"symbol":"{SYMBOL}","interval":"{interval}"}}'.encode()
        start_ms = rows[-1][0] + 1


async def true_trades(get: Get, first_id: int) -> AsyncIterator[tuple[int, int, bytes]]:
    """The aggregate trades from an id on, by REST: id, time (epoch ms) and record of each."""
    path = f"/api/v3/aggTrades?symbol={SYMBOL}&limit=1000"
    while rows := await get(f"{path}&fromId={first_id}"):
        for row in rows:
            text = (
                f'{{"trade_id":{row["a"]},"price":{row["p"]},"quantity":{row["q"]},'
                f'"timestamp":{row["T"]},"is_buyer_maker":{json.dumps(row["m"])},'
                f'"symbol":"{SYMBOL}"}}'
            )
            yield row["a"], row["T"], text.encode()
        first_id = rows[-1]["a"] + 1


async def first_trade_id(get: Get, since_ms: int) -> int:
    """The id of the first aggregate trade of ``since_ms`` or later."""
    path = f"/api/v3/aggTrades?symbol={SYMBOL}&limit=1&startTime={since_ms}"
    return int((await get(path))[0]["a"])


def kinds_of_book(records: Sequence[Record]) -> list[str]:
    """Check that every change continues what stands before it, or a gap says that it does not."""
    kinds = [dict(record.headers).get("kind", b"diff").decode() for record in records]
    book_id = -1
    for kind, record in zip(kinds, records, strict=True):
        value = json.loads(record.value or b"")
        if kind == "snapshot":
            assert value["lastUpdateId"] >= book_id
            book_id = value["lastUpdateId"]
        elif kind == "gap":
            assert value["expected_update_id"] == book_id + 1
            book_id = value["got_update_id"] - 1
        else:
            assert value["U"] <= book_id + 1 <= value["u"]
            book_id = value["u"]
    return kinds


def assert_same(loaded: Sequence[bytes | None], expected: Sequence[bytes]) -> None:
    """The first difference, not a hundred thousand lines of it."""
    for number, (found, wanted) in enumerate(zip(loaded, expected, strict=False)):
        assert found == wanted, f"record {number} of {len(loaded)} is {found!r}, not {wanted!r}"
    assert len(loaded) == len(expected)
