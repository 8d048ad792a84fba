"""What a loader needs of exchangeInfo and time: the venue's clock and its limits. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from loadertask_worker.binance.cells import TIMES_MS
from loadertask_worker.binance.limiter import RAW_REQUESTS, REQUEST_WEIGHT, Limit, strictest
from loadertask_worker.errors import ProtocolViolatedError, SourceUnavailableError

_UNIT_S = {"SECOND": 1.0, "MINUTE": 60.0, "HOUR": 3_600.0, "DAY": 86_400.0}


@dataclass(frozen=True, slots=True)
class ExchangeInfo:
    """The venue's clock (epoch ms, as the answer was made) and the limits of an address.

    ``status`` is that of the symbol that was asked for, where the venue says it.
    """

    server_time_ms: int
    weight: Limit
    requests: Limit
    status: str | None = None

    @property
    def trades(self) -> bool:
        """Whether new trades of the symbol are to be expected."""
        return self.status in (None, "TRADING")


def parse_exchange_info(body: bytes) -> ExchangeInfo:
    """Read the answer; limits of unknown kinds or units are left out.

    Raises:
        SourceUnavailableError: not JSON.
        ProtocolViolatedError: JSON without the venue's clock.

    """
    info, server_time_ms = _object_with_time(body)
    entries = info.get("rateLimits")
    limits = [_limit(entry) for entry in entries] if isinstance(entries, list) else []
    return ExchangeInfo(
        server_time_ms,
        strictest([each for kind, each in limits if kind == "REQUEST_WEIGHT"], REQUEST_WEIGHT),
        strictest([each for kind, each in limits if kind == "RAW_REQUESTS"], RAW_REQUESTS),
        _status(info.get("symbols")),
    )


def parse_server_time(body: bytes) -> int:
    """The venue's clock (epoch ms) from an answer of time; raises as `parse_exchange_info`."""
    return _object_with_time(body)[1]


def _object_with_time(body: bytes) -> tuple[dict[str, Any], int]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise SourceUnavailableError("the answer is not JSON") from error
    server_time_ms = found.get("serverTime") if isinstance(found, dict) else None
    if type(server_time_ms) is not int or server_time_ms not in TIMES_MS:
        # A clock in another unit would call candles closed that still grow.
        shown = str(server_time_ms)[:60]
        raise ProtocolViolatedError(f"serverTime is {shown}, not a time in milliseconds")
    return found, server_time_ms


def _status(symbols: Any) -> str | None:
    try:
        return str(symbols[0]["status"])[:40]
    except (IndexError, KeyError, TypeError):
        return None


def _limit(entry: Any) -> tuple[str, Limit]:
    try:
        window_s = _UNIT_S[entry["interval"]] * int(entry["intervalNum"])
        capacity = int(entry["limit"])
        kind = str(entry["rateLimitType"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return "unknown", REQUEST_WEIGHT
    return (kind, Limit(capacity, window_s)) if capacity > 0 < window_s else ("", REQUEST_WEIGHT)
