"""A snapshot of the order book over REST, published as the venue spells it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadertask_worker.binance.cells import STRICT_JSON
from loadertask_worker.binance.levels import check_levels
from loadertask_worker.errors import ProtocolViolatedError, SourceUnavailableError

if TYPE_CHECKING:
    from loadertask_worker.binance.requests import Params
    from loadertask_worker.binance.rest import BinanceRest

SNAPSHOT_LEVELS = 5_000
SNAPSHOT_WEIGHT = 250
_NEWEST_LEVELS = 5
_NEWEST_WEIGHT = 5


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The book after the change ``last_id``; ``record`` is the venue's answer."""

    last_id: int
    record: bytes


async def snapshot(venue: BinanceRest, symbol: str) -> Snapshot:
    """GET depth with all the levels there are."""
    return await _depth(venue, symbol, SNAPSHOT_LEVELS, SNAPSHOT_WEIGHT)


async def newest_change(venue: BinanceRest, symbol: str) -> int:
    """The id of the last change, by the cheapest answer that tells it."""
    return (await _depth(venue, symbol, _NEWEST_LEVELS, _NEWEST_WEIGHT)).last_id


async def _depth(venue: BinanceRest, symbol: str, levels: int, weight: int) -> Snapshot:
    params: Params = {"symbol": symbol, "limit": levels}
    return await venue.get("depth", weight, params, parse_snapshot)


def parse_snapshot(body: bytes) -> Snapshot:
    """Read an answer.

    Raises:
        SourceUnavailableError: not JSON.
        ProtocolViolatedError: JSON that is no book.

    """
    try:
        book = STRICT_JSON.decode(body.decode())
    except (ValueError, RecursionError) as error:
        raise SourceUnavailableError("the answer is not JSON") from error
    if not isinstance(book, dict) or type(last_id := book.get("lastUpdateId")) is not int:
        raise ProtocolViolatedError("a snapshot without lastUpdateId")
    check_levels(book, "bids", "asks")
    return Snapshot(last_id, body.strip())
