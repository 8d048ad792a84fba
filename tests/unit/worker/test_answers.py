from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from loadertask_worker.binance.answers import Answer, error_of
from loadertask_worker.errors import (
    BannedError,
    RateLimitedError,
    RejectedError,
    SourceError,
    SourceUnavailableError,
)

NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)
ASKED = "klines of symbol NOSUCHPAIR"
HTML = b"<html><head><title>403 ERROR</title></head></html>"
BAN_TEXT = b'{"code":-1003,"msg":"Way too much; IP banned until 1790000120000. Please use streams"}'


def refused(code: int, msg: str = "Invalid symbol.") -> bytes:
    return f'{{"code":{code},"msg":"{msg}"}}'.encode()


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, refused(-1121), RejectedError),
        (400, refused(-1120, "Invalid interval."), RejectedError),
        (400, refused(-1100), RejectedError),
        (400, refused(-1007), SourceUnavailableError),
        (400, refused(-1000), SourceUnavailableError),
        (400, refused(-1003), RateLimitedError),
        (400, b"", RejectedError),
        (401, b"", RejectedError),
        (403, HTML, RateLimitedError),
        (404, b"", RejectedError),
        (408, b"", SourceUnavailableError),
        (418, BAN_TEXT, BannedError),
        (429, refused(-1003), RateLimitedError),
        (429, HTML, RateLimitedError),
        (451, b'{"code":0,"msg":"Service unavailable from a restricted location"}', RejectedError),
        (500, b"", SourceUnavailableError),
        (500, b'{"code":"x","msg":1}', SourceUnavailableError),
        (502, HTML, SourceUnavailableError),
        (503, b"[" * 10_000, SourceUnavailableError),
        (204, b"", SourceUnavailableError),
        (302, b"", SourceUnavailableError),
    ],
)
def test_an_answer_means_one_error(status: int, body: bytes, kind: type[SourceError]) -> None:
    assert type(error_of(Answer(status, {}, body), ASKED, NOW)) is kind


def test_a_success_is_no_error() -> None:
    assert error_of(Answer(200, {}, b"[]"), ASKED, NOW) is None


@pytest.mark.parametrize(
    ("headers", "body", "until"),
    [
        ({"Retry-After": "300"}, BAN_TEXT, NOW + timedelta(seconds=300)),
        ({}, BAN_TEXT, datetime.fromtimestamp(1_790_000_120, UTC)),
        ({}, b"", NOW + timedelta(seconds=120)),
        ({"Retry-After": "soon"}, b"", NOW + timedelta(seconds=120)),
        ({"Retry-After": "0"}, b"", NOW + timedelta(seconds=120)),
    ],
)
def test_a_ban_ends_when_the_venue_says_so(
    headers: dict[str, str], body: bytes, until: datetime
) -> None:
    error = error_of(Answer(418, headers, body), ASKED, NOW)
    assert isinstance(error, BannedError)
    assert error.until == until


@pytest.mark.parametrize(
    ("status", "headers", "wait_s"),
    [
        (429, {"Retry-After": "17"}, 17),
        (429, {"Retry-After": "0"}, None),
        (429, {}, None),
        (403, {}, 60),
        (403, {"Retry-After": "5"}, 5),
        (403, {"Retry-After": "0"}, 60),
    ],
)
def test_a_rate_limit_says_how_long_to_wait(
    status: int, headers: dict[str, str], wait_s: float | None
) -> None:
    error = error_of(Answer(status, headers, b""), ASKED, NOW)
    assert isinstance(error, RateLimitedError)
    assert error.retry_after_s == wait_s


@pytest.mark.parametrize(
    ("text", "weight"), [("42", 42), ("", None), ("-1", None), ("٤", None), ("9" * 30, None)]
)
def test_the_used_weight_is_a_whole_number_or_unknown(text: str, weight: int | None) -> None:
    assert Answer(200, {"X-MBX-USED-WEIGHT-1M": text}, b"").used_weight == weight


@pytest.mark.parametrize(
    ("status", "body", "text"),
    [
        (400, refused(-1121), "Invalid symbol. (HTTP 400, code -1121); is SYMBOL right?"),
        (400, refused(-1100), "Invalid symbol. (HTTP 400, code -1100)"),
        (404, b"<h1>404</h1>", "<h1>404</h1> (HTTP 404); is BINANCE_API_URL right?"),
        (404, b"", "(HTTP 404); is BINANCE_API_URL right?"),
    ],
)
def test_a_refusal_repeats_what_was_said_and_names_what_to_look_at(
    status: int, body: bytes, text: str
) -> None:
    error = error_of(Answer(status, {}, body), ASKED, NOW)
    assert str(error) == f"the venue refuses klines of symbol NOSUCHPAIR: {text}"
