"""What the venue means by a status and a body that are not a success. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING

from loadertask_worker.errors import (
    BannedError,
    RateLimitedError,
    RejectedError,
    SourceUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadertask_worker.errors import SourceError

# binance-spot-api-docs, errors.md: trouble on the venue's side, whatever the status.
_UNAVAILABLE_CODES = frozenset({-1000, -1001, -1006, -1007, -1008, -1016, -1034})
_TOO_MANY_REQUESTS = -1003
_INVALID_SYMBOL = -1121
_IM_A_TEAPOT = 418
# The edge blocks with HTML and says no time; it may mean a rate violation.
_EDGE_BLOCK_S = 60.0
# The shortest ban there is.
_SHORTEST_BAN_S = 120.0
_BANNED_UNTIL = re.compile(r"banned until (\d{13})\b")


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers (names compared without case) and body of one answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def used_weight(self) -> int | None:
        """Weight used by this address in the current minute, as the venue counts."""
        return _whole(self.headers.get("X-MBX-USED-WEIGHT-1M"))

    @property
    def retry_after_s(self) -> int | None:
        """What the venue asks to wait; 0 says as little as nothing does."""
        return _whole(self.headers.get("Retry-After")) or None


def error_of(
    answer: Answer, asked: str, now: datetime, address: str = "BINANCE_API_URL"
) -> SourceError | None:
    """The error that an answer to what was ``asked`` for stands for; None for a success.

    ``address`` is the variable that says where was asked.
    """
    status = answer.status
    if status == HTTPStatus.OK:
        return None
    code, text = _code_and_text(answer.body)
    if status == _IM_A_TEAPOT:
        return BannedError(_banned_until(answer, text, now))
    if status == HTTPStatus.TOO_MANY_REQUESTS or code == _TOO_MANY_REQUESTS:
        return RateLimitedError(status, answer.retry_after_s)
    if status == HTTPStatus.FORBIDDEN:
        return RateLimitedError(status, answer.retry_after_s or _EDGE_BLOCK_S)
    is_refusal = 400 <= status < 500 and status != HTTPStatus.REQUEST_TIMEOUT
    if is_refusal and code not in _UNAVAILABLE_CODES:
        # A refusal in nobody's words is not the venue's: something else answers there.
        variable = address if code is None else "SYMBOL" if code == _INVALID_SYMBOL else None
        return RejectedError(asked, status, code, text, variable)
    return SourceUnavailableError(f"HTTP {status} {text}".rstrip())


def _code_and_text(body: bytes) -> tuple[int | None, str]:
    """The venue's error object; bodies may as well be HTML or nothing."""
    try:
        error = json.loads(body)
        code, text = error["code"], error["msg"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None, " ".join(body[:120].decode("utf-8", "replace").split())
    return (code if isinstance(code, int) else None), str(text)[:300]


def _banned_until(answer: Answer, text: str, now: datetime) -> datetime:
    if answer.retry_after_s is not None:
        return now + timedelta(seconds=answer.retry_after_s)
    if match := _BANNED_UNTIL.search(text):
        return datetime.fromtimestamp(int(match[1]) // 1000, UTC)
    return now + timedelta(seconds=_SHORTEST_BAN_S)


def _whole(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else None
