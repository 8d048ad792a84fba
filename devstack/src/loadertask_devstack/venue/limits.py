"""The venue's limits per client address: request weight, raw requests, bans. Pure: now is given.

Fixed clock windows (a minute; five minutes), not rolling ones; refused and failed calls are charged
too. How the venue lengthens bans is not documented: here they double from 2 minutes to 3 days.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

_MINUTE_MS = 60_000
_FIVE_MINUTES_MS = 5 * _MINUTE_MS

WEIGHTS = {
    "/api/v3/ping": 1,
    "/api/v3/time": 1,
    "/api/v3/exchangeInfo": 20,
    "/api/v3/klines": 2,
    "/api/v3/aggTrades": 4,
    "/api/v3/trades": 25,
    "/api/v3/historicalTrades": 25,
}
OTHER_WEIGHT = 1
DEPTH_PATH = "/api/v3/depth"
_DEPTH_WEIGHTS = ((100, 5), (500, 25), (1000, 50))
_LARGEST_DEPTH_WEIGHT = 250


@dataclass(frozen=True, slots=True)
class LimitRules:
    """What one address may do.

    ``ignored_refusals`` is how many 429 answers within a minute do not yet lead to a ban: a client
    with several requests in flight gets some at once and has ignored none of them.
    """

    weight_per_minute: int = 6000
    raw_per_five_minutes: int = 300_000
    ignored_refusals: int = 10
    first_ban_s: float = 120
    longest_ban_s: float = 3 * 86_400


@dataclass(frozen=True, slots=True)
class Ledger:
    """What one address has used; the windows are numbered since the epoch."""

    minute: int = 0
    weight: int = 0
    refusals: int = 0
    five_minutes: int = 0
    raw_requests: int = 0
    bans: int = 0
    banned_until_ms: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to answer: 200 (serve it), 429 or 418; the weight used goes on every answer."""

    status: int
    used_weight: int
    retry_after_s: int = 0
    message: str = ""


def weight_of(path: str, params: Mapping[str, str]) -> int:
    """What a request costs; that of the order book by the levels it asks for."""
    if path != DEPTH_PATH:
        return WEIGHTS.get(path, OTHER_WEIGHT)
    text = params.get("limit", "100")
    limit = int(text) if text.isdecimal() else 0
    return next((w for most, w in _DEPTH_WEIGHTS if limit <= most), _LARGEST_DEPTH_WEIGHT)


def charge(ledger: Ledger, rules: LimitRules, now_ms: int, weight: int) -> tuple[Ledger, Verdict]:
    """Charge a request and judge it."""
    ledger = _charged(ledger, now_ms, weight)
    if now_ms < ledger.banned_until_ms:
        return ledger, _banned(ledger, now_ms)
    refusal = _refusal(ledger, rules, now_ms)
    if refusal is None:
        return ledger, Verdict(200, ledger.weight)
    ledger = replace(ledger, refusals=ledger.refusals + 1)
    if ledger.refusals <= rules.ignored_refusals:
        return ledger, refusal
    ban_ms = min(rules.first_ban_s * 2**ledger.bans, rules.longest_ban_s) * 1000
    # The address comes out of its ban with a clean minute and a longer next ban.
    ledger = replace(
        ledger, bans=ledger.bans + 1, banned_until_ms=now_ms + round(ban_ms), refusals=0
    )
    return ledger, _banned(ledger, now_ms)


def _charged(ledger: Ledger, now_ms: int, weight: int) -> Ledger:
    minute, five_minutes = now_ms // _MINUTE_MS, now_ms // _FIVE_MINUTES_MS
    if minute != ledger.minute:
        ledger = replace(ledger, minute=minute, weight=0, refusals=0)
    if five_minutes != ledger.five_minutes:
        ledger = replace(ledger, five_minutes=five_minutes, raw_requests=0)
    return replace(ledger, weight=ledger.weight + weight, raw_requests=ledger.raw_requests + 1)


def _refusal(ledger: Ledger, rules: LimitRules, now_ms: int) -> Verdict | None:
    if ledger.raw_requests > rules.raw_per_five_minutes:
        wait_s, limit = _until_next(_FIVE_MINUTES_MS, now_ms), rules.raw_per_five_minutes
        message = f"Too many requests; current limit is {limit} requests per 5 MINUTE."
        return Verdict(429, ledger.weight, wait_s, message)
    if ledger.weight > rules.weight_per_minute:
        message = (
            f"Too much request weight used; current limit is {rules.weight_per_minute} request "
            "weight per 1 MINUTE. Please use WebSocket Streams for live updates to avoid polling "
            "the API."
        )
        return Verdict(429, ledger.weight, _until_next(_MINUTE_MS, now_ms), message)
    return None


def _banned(ledger: Ledger, now_ms: int) -> Verdict:
    message = (
        f"Way too much request weight used; IP banned until {ledger.banned_until_ms}. Please use "
        "WebSocket Streams for live updates to avoid bans."
    )
    wait_s = -((now_ms - ledger.banned_until_ms) // 1000)
    return Verdict(418, ledger.weight, wait_s, message)


def _until_next(window_ms: int, now_ms: int) -> int:
    return -(-(window_ms - now_ms % window_ms) // 1000)
