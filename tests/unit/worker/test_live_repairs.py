"""What REST's troubles mean for a stream that works; and snapshots, which only REST has."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from loadertask_worker.binance.depth import Snapshot, parse_snapshot
from loadertask_worker.errors import (
    BannedError,
    ProtocolViolatedError,
    RejectedError,
    SourceError,
    SourceUnavailableError,
)
from loadertask_worker.live.trades import TradeSequence
from loadertask_worker.live.updates import HoldBounds, Release
from loadertask_worker.tasks.live_source import Answer, Question
from loadertask_worker.tasks.repairs import LONGEST_TROUBLE_S, Repairs

RELEASE = Release(b"late", 1, 2)


class Source:
    """Asks for something all the time; ``trouble`` is what comes of it."""

    def __init__(self) -> None:
        self.sequence = TradeSequence(None, 0, HoldBounds())
        self.trouble: SourceError | None = None

    def behind(self, now_ms: int) -> Question | None:
        return None

    def question(self, now_ms: int) -> Question | None:
        return self._ask()

    async def newest_at_venue(self) -> tuple[int, ...]:
        return ()

    def went_backwards(self, at_venue: tuple[int, ...]) -> None:
        pass

    async def _ask(self) -> Answer:
        if self.trouble:
            raise self.trouble
        return lambda now_ms: [RELEASE]


class Run:
    """Repairs whose time passes when it is told to; also hears what is told to people."""

    def __init__(self) -> None:
        self.source, self.wake, self.now_s = Source(), asyncio.Event(), 0.0
        self.told: list[str] = []
        self._repairs = Repairs(self.source, self.wake, self, lambda: self.now_s)

    def tell(self, text: str) -> None:
        self.told.append(text)

    def lacks(self, text: str) -> None:
        self.tell(text)

    def waits(self, why: str, for_s: float) -> None:
        pass

    def lag(self, lag_ms: int) -> None:
        pass

    async def ask(
        self, trouble: SourceError | None = None, *, after_s: float = 10
    ) -> Sequence[Release] | None:
        self.now_s += after_s
        self.source.trouble = trouble
        self._repairs.ask(0)
        await self.wake.wait()
        self.wake.clear()
        answer = self._repairs.answer()
        return answer(0) if answer else None


UNREACHABLE = SourceUnavailableError("no answer")


async def test_an_answer_wakes_the_loop_and_is_given_once() -> None:
    run = Run()

    assert await run.ask() == [RELEASE]
    assert run._repairs.answer() is None
    assert run.told == []


async def test_trouble_is_borne_for_an_hour_and_told_once() -> None:
    run = Run()
    for _ in range(5):
        assert await run.ask(UNREACHABLE, after_s=LONGEST_TROUBLE_S / 6) is None
    assert len(run.told) == 1

    with pytest.raises(SourceUnavailableError):
        await run.ask(UNREACHABLE, after_s=LONGEST_TROUBLE_S)


async def test_an_answer_ends_the_trouble() -> None:
    run = Run()
    await run.ask(UNREACHABLE)
    assert await run.ask() == [RELEASE]

    assert await run.ask(UNREACHABLE, after_s=2 * LONGEST_TROUBLE_S) is None
    assert len(run.told) == 2


async def test_a_ban_is_borne_until_an_hour_after_its_end() -> None:
    run = Run()
    ban = BannedError(datetime.now(UTC) + timedelta(days=3))

    assert await run.ask(ban) is None
    assert await run.ask(ban, after_s=2 * LONGEST_TROUBLE_S) is None
    assert "banned" in run.told[0]


async def test_a_refusal_ends_the_load_at_once() -> None:
    with pytest.raises(RejectedError):
        await Run().ask(RejectedError("aggTrades", 400, -1121, "Invalid symbol."))


async def test_impossible_answers_are_not_believed_for_ever() -> None:
    run = Run()
    impossible = ProtocolViolatedError("trade 5 comes after trade 7")
    for _ in range(4):
        assert await run.ask(impossible) is None

    with pytest.raises(ProtocolViolatedError):
        await run.ask(impossible)


BOOK = b'{"lastUpdateId":7000500,"bids":[["101.24000000","3.0"]],"asks":[["101.25","1.5"]]}'


def test_a_snapshot_is_published_as_received() -> None:
    assert parse_snapshot(BOOK + b"\n") == Snapshot(7000500, BOOK)


@pytest.mark.parametrize("body", [b"", b"<html>", BOOK[:-1], b"\xff"])
def test_an_answer_that_is_not_json_is_no_snapshot(body: bytes) -> None:
    with pytest.raises(SourceUnavailableError):
        parse_snapshot(body)


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        (b"7000500", b'"7000500"'),
        (b"7000500", b"true"),
        (b'"3.0"', b"3.0"),
        (b'"3.0"', b'"NaN"'),
        (b'"asks"', b'"ask"'),
        (BOOK, b"[]"),
    ],
)
def test_a_snapshot_of_anything_but_numbers_is_refused(was: bytes, becomes: bytes) -> None:
    with pytest.raises(ProtocolViolatedError):
        parse_snapshot(BOOK.replace(was, becomes))
