"""The reader of queue-events against brokers in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    SaslAuthenticationFailed,
)
from tests.unit.operator.worlds import NOW, make_event, make_task

from loadertask_contract.events import encode_event
from loadertask_operator.inbox import Inbox
from loadertask_operator.kafka import access, events, partitions
from loadertask_operator.metrics import Metrics
from loadertask_operator.schema import TaskKey
from loadertask_operator.store import Store

KEY = TaskKey("loads", "btc")
TOPIC = "queue-events"


class Brokers:
    """One topic: the logs of its partitions, what was committed, what fails."""

    def __init__(self) -> None:
        self.logs: dict[int, list[bytes | None]] = {0: []}
        self.committed: dict[int, int] = {}
        self.commit_failures: list[Exception] = []
        self.start_failures: list[Exception] = []
        self.sessions = 0
        self.fetches = 0
        self.resets_by_itself = True
        self.is_stuck = False

    def say(self, status: str, partition: int = 0) -> None:
        self.logs[partition].append(encode_event(make_event(status, "p")).value)


class Consumer:
    """What the operator uses of AIOKafkaConsumer."""

    def __init__(self, brokers: Brokers) -> None:
        self._brokers = brokers
        self._positions: dict[TopicPartition, int] = {}

    async def start(self) -> None:
        self._brokers.sessions += 1
        if self._brokers.start_failures:
            raise self._brokers.start_failures.pop(0)

    async def stop(self) -> None:
        pass

    def assign(self, partitions: list[TopicPartition]) -> None:
        self._positions = {p: self._brokers.committed.get(p.partition, 0) for p in partitions}

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._positions[partition] = offset

    async def position(self, partition: TopicPartition) -> int:
        return self._positions[partition]

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {p: len(self._brokers.logs[p.partition]) for p in partitions}

    async def getmany(self, **_: Any) -> dict[TopicPartition, list[Any]]:
        self._brokers.fetches += 1
        if self._brokers.is_stuck:
            await asyncio.Event().wait()
        await asyncio.sleep(0.001)
        return {p: records for p in self._positions if (records := self._fetched(p))}

    def _fetched(self, partition: TopicPartition) -> list[Any]:
        log = self._brokers.logs[partition.partition]
        if self._positions[partition] > len(log) and self._brokers.resets_by_itself:
            self._positions[partition] = 0
        begin = self._positions[partition]
        self._positions[partition] = max(begin, len(log))
        timestamp = NOW.timestamp() * 1000
        return [
            SimpleNamespace(
                partition=partition.partition,
                offset=offset,
                value=log[offset],
                headers=(),
                timestamp=timestamp,
            )
            for offset in range(begin, len(log))
        ]

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        if self._brokers.commit_failures:
            raise self._brokers.commit_failures.pop(0)
        self._brokers.committed |= {p.partition: offset for p, offset in offsets.items()}


class Admin:
    """What the operator uses of AIOKafkaAdminClient."""

    def __init__(self, brokers: Brokers) -> None:
        self._brokers = brokers

    async def start(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def describe_topics(self) -> list[dict[str, Any]]:
        partitions = [{"partition": number} for number in self._brokers.logs]
        return [{"topic": TOPIC, "partitions": partitions}]


@pytest.fixture
def brokers(monkeypatch: pytest.MonkeyPatch) -> Brokers:
    brokers = Brokers()
    monkeypatch.setattr(events, "AIOKafkaConsumer", lambda **_: Consumer(brokers))
    monkeypatch.setattr(partitions, "AIOKafkaAdminClient", lambda **_: Admin(brokers))
    monkeypatch.setattr(events, "_BACKOFF_S", (0.001,))
    for interval in ("_PROBE_INTERVAL_S", "_COMMIT_INTERVAL_S", "_PARTITIONS_INTERVAL_S"):
        monkeypatch.setattr(events, interval, 0.005)
    return brokers


class Reading:
    """A reader at work, and what it has seen."""

    def __init__(self) -> None:
        self.store, self.metrics = Store(), Metrics()
        self.store.remember_task(make_task())
        self.inbox = Inbox(self.store, self.metrics, lambda key: None)
        self.reachable: list[bool] = []
        arguments = {"bootstrap_servers": ["broker:1"]}
        self.consumer = events.EventsConsumer(
            arguments, TOPIC, "group", self.inbox, self.metrics, self.reachable.append
        )

    def statuses(self) -> list[str]:
        return [event.event.payload.status.value for event in self.inbox.pending(KEY)]

    def settle(self) -> None:
        self.inbox.drop(KEY)


@asynccontextmanager
async def reading():
    reader = Reading()
    task = asyncio.create_task(reader.consumer.run())
    try:
        yield reader
    finally:
        task.cancel()
        _, pending = await asyncio.wait([task], timeout=30)
        assert not pending, "a cancellation was swallowed"


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - the condition is not an event
            await asyncio.sleep(0.001)


async def test_what_is_settled_is_committed(brokers):
    brokers.say("started")
    async with reading() as reader:
        await until(lambda: reader.statuses() == ["started"])
        await until(lambda: reader.reachable == [True])
        reader.settle()
        await until(lambda: brokers.committed == {0: 1})


@pytest.mark.parametrize("resets_by_itself", [True, False])
async def test_a_topic_made_anew_is_read_from_its_beginning(brokers, resets_by_itself):
    brokers.resets_by_itself = resets_by_itself
    for _ in range(500):
        brokers.say("loading")
    async with reading() as reader:
        await until(lambda: len(reader.statuses()) == 500)
        reader.settle()
        await until(lambda: brokers.committed == {0: 500})
        brokers.logs = {0: []}
        brokers.say("finished")
        await until(lambda: reader.statuses() == ["finished"])
        reader.settle()
        await until(lambda: brokers.committed == {0: 1})


async def test_partitions_that_are_added_are_read(brokers):
    brokers.say("started")
    async with reading() as reader:
        await until(lambda: reader.statuses() == ["started"])
        brokers.logs[1] = []
        brokers.say("finished", partition=1)
        await until(lambda: reader.statuses() == ["started", "finished"])
        assert brokers.sessions == 2


async def test_a_commit_that_fails_is_tried_again_while_reading_goes_on(brokers):
    brokers.commit_failures = [GroupAuthorizationFailedError("group"), TimeoutError()]
    brokers.say("started")
    async with reading() as reader:
        await until(lambda: reader.statuses() == ["started"])
        reader.settle()
        await until(lambda: brokers.committed == {0: 1})
        assert brokers.sessions == 1
        assert reader.reachable == [True]


async def test_no_more_is_read_than_memory_is_meant_to_hold(brokers, monkeypatch):
    monkeypatch.setattr(events, "_MAX_UNSETTLED_EVENTS", 3)
    monkeypatch.setattr(events, "_PAUSE_S", 0.001)
    for _ in range(3):
        brokers.say("loading")
    async with reading() as reader:
        await until(lambda: len(reader.inbox) == 3)
        brokers.say("finished")
        fetches = brokers.fetches
        await asyncio.sleep(0.05)
        assert brokers.fetches == fetches
        assert len(reader.inbox) == 3
        reader.settle()
        await until(lambda: reader.statuses() == ["finished"])


async def test_events_that_come_one_by_one_are_gathered_instead_of_fetched_each(
    brokers, monkeypatch
):
    async with reading() as reader:
        await until(lambda: reader.reachable == [True])
        monkeypatch.setattr(events, "_GATHER_S", 30.0)
        brokers.say("started")
        await until(lambda: reader.statuses() == ["started"])
        fetches, looks = brokers.fetches, 0
        while looks < 50:
            looks += 1
            await asyncio.sleep(0.001)
        assert brokers.fetches == fetches


async def test_what_was_said_before_is_read_without_a_rest(brokers, monkeypatch):
    monkeypatch.setattr(events, "_GATHER_S", 30.0)
    monkeypatch.setattr(events, "_MAX_RECORDS", 2)
    brokers.say("started")
    brokers.say("loading")
    async with reading() as reader:
        await until(lambda: reader.statuses() == ["started", "loading"])
        brokers.say("finished")
        await until(lambda: reader.statuses() == ["started", "loading", "finished"])


async def test_a_wrong_password_is_logged_as_what_it_is(brokers, monkeypatch, caplog):
    async def refused(*_: Any, **__: Any) -> None:
        raise SaslAuthenticationFailed("invalid credentials")

    monkeypatch.setattr(access, "create_conn", refused)
    brokers.start_failures = [KafkaConnectionError("Unable to bootstrap")]
    async with reading() as reader:
        await until(lambda: True in reader.reachable)
    assert "broker:1: SaslAuthenticationFailed" in caplog.text
    assert "invalid credentials" in caplog.text


async def test_a_reader_whose_client_never_answers_has_no_pulse_and_a_failing_one_has(brokers):
    beats = 0

    def beat() -> None:
        nonlocal beats
        beats += 1

    reader = Reading()
    task = asyncio.create_task(reader.consumer.run(beat))
    await until(lambda: beats > 3)
    brokers.start_failures = [KafkaConnectionError("away")] * 3
    brokers.is_stuck = True
    fetches = brokers.fetches
    await until(lambda: brokers.fetches > fetches)
    stopped_at = beats
    await asyncio.sleep(0.05)
    assert beats == stopped_at
    task.cancel()
    await asyncio.wait([task], timeout=30)
