"""What a load will take, told before it begins. Pure arithmetic: the venue is not asked.

Only candles can be counted in advance. The bound is that of one address alone with the REST API;
the archive is faster.
"""

from __future__ import annotations

from datetime import datetime

from loadertask_contract.intervals import count_opens
from loadertask_contract.time_range import epoch_ms
from loadertask_operator.schema import Spec

# Of GET /api/v3/klines: https://github.com/binance/binance-spot-api-docs (limit and weight).
_CANDLES_PER_REQUEST = 1000
_WEIGHT_PER_REQUEST = 2
_WEIGHT_PER_MINUTE = 6000


def expectation(spec: Spec | None, now: datetime) -> str:
    """Records, requests and time in words; empty where nothing can be said."""
    interval, span = (spec.effective_interval, spec.time_range) if spec else (None, None)
    if interval is None or span is None:
        return ""
    candles = count_opens(interval, span.start_ms, min(span.end_ms, epoch_ms(now)))
    requests = -(-candles // _CANDLES_PER_REQUEST)
    least_s = requests * _WEIGHT_PER_REQUEST * 60 // _WEIGHT_PER_MINUTE
    return f"{candles} candles expected (REST requests: {requests}, seconds at least: {least_s})"
