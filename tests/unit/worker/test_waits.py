"""Which waits at the venue people are told of, and for how long."""

from __future__ import annotations

from loadertask_worker.binance.waits import Waits
from loadertask_worker.errors import RateLimitedError, SourceUnavailableError
from loadertask_worker.patience import Patience

LIMITED = RateLimitedError(403, 60)
UNAVAILABLE = SourceUnavailableError("HTTP 503")


class Told:
    """Waits, and what they told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, float]] = []
        self.waits = Waits(lambda why, for_s: self.told.append((why, for_s)))


def test_a_rest_is_told_with_its_length() -> None:
    told = Told()
    told.waits.rest(LIMITED, 60)
    assert told.told == [("the venue limits the rate of requests (HTTP 403); waiting", 60)]


def test_what_is_over_in_a_moment_is_not_told() -> None:
    told, patience = Told(), Patience(60)
    told.waits.rest(LIMITED, 1)
    delay_s = patience.delay_after_failure(0.5, 0)
    assert delay_s is not None
    told.waits.retry(UNAVAILABLE, delay_s, patience)
    told.waits.answered()
    assert told.told == []


def test_tries_are_told_until_the_patience_ends_or_an_answer_comes() -> None:
    told, patience = Told(), Patience(60)
    delay_s = patience.delay_after_failure(20, 0)
    assert delay_s is not None
    told.waits.retry(UNAVAILABLE, delay_s, patience)
    told.waits.answered()
    told.waits.answered()
    (why, for_s), over = told.told
    assert why == "the venue gives no usable answer: HTTP 503; trying again"
    assert for_s == 40
    assert over == ("", 0)


def test_an_answer_to_another_request_ends_no_rest() -> None:
    told = Told()
    told.waits.rest(LIMITED, 60)
    told.waits.answered()
    assert len(told.told) == 1
