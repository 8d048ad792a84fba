"""The sender of stop commands against a broker in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from loadertask_operator.kafka import commands
from loadertask_operator.metrics import Metrics


class Broker:
    """What was sent to it, and what a connection to it waits for or fails with."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.answers = asyncio.Event()
        self.failures: list[Exception] = []
        self.attempts = 0

    async def start(self) -> None:
        self.attempts += 1
        await self.answers.wait()
        if self.failures:
            raise self.failures.pop(0)

    async def stop(self) -> None:
        pass

    async def send_and_wait(self, topic: str, *, key: bytes, value: bytes) -> None:
        self.sent.append(key.decode())


class Clock:
    now_s = 100.0


@asynccontextmanager
async def sending(broker: Broker, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(commands, "AIOKafkaProducer", lambda **_: broker)
    clock = Clock()
    sender = commands.CommandSender({}, "queue-control", Metrics(), lambda: clock.now_s)
    task: asyncio.Task[Any] = asyncio.create_task(sender.run())
    try:
        yield sender, clock
    finally:
        task.cancel()
        _, pending = await asyncio.wait([task], timeout=30)
        assert not pending


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - the condition is not an event
            await asyncio.sleep(0.001)


async def test_a_stop_asked_for_twice_before_it_is_sent_is_sent_once(monkeypatch):
    broker = Broker()
    async with sending(broker, monkeypatch) as (sender, _):
        for queue_id in ("a", "a", "b"):
            sender.request_stop(queue_id)
        broker.answers.set()
        await until(lambda: len(broker.sent) == 2)
    assert broker.sent == ["a", "b"]


async def test_a_stop_that_had_to_wait_or_whose_task_is_gone_is_not_sent(monkeypatch):
    broker = Broker()
    async with sending(broker, monkeypatch) as (sender, clock):
        sender.request_stop("late")
        await until(lambda: broker.attempts == 1)
        clock.now_s += 4
        sender.request_stop("gone")
        sender.request_stop("now")
        sender.forget_stop("gone")
        broker.answers.set()
        await until(lambda: bool(broker.sent))
    assert broker.sent == ["now"]


async def test_a_stop_that_failed_is_sent_when_it_is_asked_for_again(monkeypatch):
    broker = Broker()
    broker.answers.set()
    broker.failures = [KafkaConnectionError("away")]
    async with sending(broker, monkeypatch) as (sender, _):
        sender.request_stop("a")
        await until(lambda: not broker.failures)
        sender.request_stop("a")
        await until(lambda: broker.sent == ["a"])
