"""The worker's record publisher against a real Kafka: pace, headers, renewal, and ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from tests.integration.worker_process import eventually, set_topic

from loadertask_contract.environment import Delivery, SecurityProtocol
from loadertask_contract.messages import Headers
from loadertask_devstack.kafka import Kafka, topics
from loadertask_worker.cursor import Cursor, Place
from loadertask_worker.errors import DeliveryUnknownError, FencedError, SinkRejectedError
from loadertask_worker.kafka import acknowledged
from loadertask_worker.kafka import producer as producer_module
from loadertask_worker.kafka.records import Page, RecordPublisher
from loadertask_worker.kafka.security import KafkaAccess
from loadertask_worker.kafka.terms import HISTORY, LIVE, Pace, Terms

pytestmark = pytest.mark.integration

EXACTLY, EFFECTIVELY = Delivery.EXACTLY_ONCE, Delivery.EFFECTIVELY_ONCE
MODES = pytest.mark.parametrize("mode", [EXACTLY, EFFECTIVELY])
# Nothing is committed but by a flush.
UNCOMMITTED = replace(HISTORY, first_transaction_s=600)


@pytest.fixture(autouse=True)
def _cursors_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it takes: the half second is a worker's, whose next life reads the topic."""
    monkeypatch.setattr(acknowledged, "_KEEP_LAST_S", 30.0)


@pytest.fixture
def kafka_access(kafka: Kafka) -> KafkaAccess:
    host, _, port = kafka.plain.rpartition(":")
    return KafkaAccess(
        ((host, int(port)),), SecurityProtocol.PLAINTEXT, None, None, None, "test-publisher"
    )


def terms(topic: str, mode: Delivery, pace: Pace = HISTORY, patience_s: float = 20) -> Terms:
    return Terms(topic, "BTCUSDT", f"{topic}-0", (mode,), pace, patience_s, demanded=mode)


def page(first: int, end: int, headers: Headers | None = None) -> Page:
    numbers = range(first, end)
    return Page(
        [b"%d" % number for number in numbers], numbers, numbers, end, end,
        [headers] * len(numbers) if headers else None,
    )  # fmt: skip


def place_of(value: bytes, headers: Headers) -> Place | None:
    return Place(int(value), int(value) + 1, int(value)) if value.isdigit() else None


class Committed(list[tuple[int, int]]):
    """What a publisher says it has committed."""

    def __call__(self, records: int, through_ms: int) -> None:
        self.append((records, through_ms))

    @property
    def records(self) -> int:
        return sum(records for records, _ in self)


@asynccontextmanager
async def publishing(
    access: KafkaAccess, agreed: Terms, committed: Committed, load_name: str = "numbers"
) -> AsyncIterator[tuple[RecordPublisher, Cursor | None]]:
    publisher = RecordPublisher(access, agreed, on_committed=committed)
    try:
        await publisher.start(load_name)
        yield publisher, await publisher.find_cursor(place_of)
    finally:
        await publisher.close()


async def publish_and_flush(publisher: RecordPublisher, records: Page) -> None:
    await publisher.publish(records)
    await publisher.flush()


def values(kafka: Kafka, topic: str) -> list[int]:
    return [int(record.value or b"") for record in topics.read_records(kafka.plain, topic)]


@MODES
async def test_the_next_life_goes_on_after_the_last_committed_record(
    kafka: Kafka, kafka_access: KafkaAccess, topic: str, mode: Delivery
) -> None:
    agreed, committed = terms(topic, mode), Committed()
    async with publishing(kafka_access, agreed, committed) as (publisher, cursor):
        assert cursor is None
        for first in range(0, 30_000, 1_000):
            await publisher.publish(page(first, first + 1_000))
        await publisher.flush()
    assert committed.records == 30_000
    async with publishing(kafka_access, agreed, committed) as (_, cursor):
        assert cursor == Cursor(30_000, 30_000, 30_000)
    assert values(kafka, topic) == list(range(30_000))


@MODES
async def test_what_lies_in_the_topic_behind_the_cursor_is_counted_exactly(
    kafka_access: KafkaAccess, topic: str, mode: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first life ends before its cursor follows: as a kill would end it.
    monkeypatch.setattr(acknowledged, "_KEEP_EVERY_S", 3600.0)
    first_life = terms(topic, EFFECTIVELY)
    async with publishing(kafka_access, first_life, (committed := Committed())) as (publisher, _):
        await publisher.publish(page(0, 5_000))
        await publisher.publish(replace(page(0, 1), records=[b"a foreign record"]))
        await eventually(lambda: committed.records == 5_001)
    async with publishing(kafka_access, terms(topic, mode), Committed()) as (_, cursor):
        assert cursor == Cursor(5_000, 4_999, 5_000)


@MODES
async def test_a_load_that_adopts_nothing_begins_behind_what_others_have_published(
    kafka_access: KafkaAccess, topic: str, mode: Delivery
) -> None:
    other = replace(terms(topic, mode), cursor_name=f"{topic}-other")
    async with publishing(kafka_access, other, Committed()) as (publisher, _):
        await publish_and_flush(publisher, page(0, 100))
    agreed = replace(terms(topic, mode), adopts=False)
    async with publishing(kafka_access, agreed, Committed()) as (publisher, cursor):
        assert cursor is None
        await publish_and_flush(publisher, page(50, 60))
    async with publishing(kafka_access, agreed, Committed()) as (_, cursor):
        assert cursor == Cursor(60, 60, 10)


async def test_a_search_reads_past_transactions_that_were_aborted(
    kafka: Kafka, kafka_access: KafkaAccess, topic: str
) -> None:
    async with publishing(kafka_access, terms(topic, EFFECTIVELY), Committed()) as (publisher, _):
        await publisher.publish(page(0, 100))
        await publisher.flush()
    foreign = replace(terms(topic, EXACTLY, UNCOMMITTED), cursor_name=f"{topic}-foreign")
    async with publishing(kafka_access, foreign, Committed()) as (publisher, _):
        await publisher.publish(page(100, 200))
        await eventually(lambda: publisher.unsettled > 0)
    # Left without a flush, the transaction was aborted, and its marker is the topic's end.
    other = replace(terms(topic, EXACTLY), cursor_name=f"{topic}-other")
    async with publishing(kafka_access, other, Committed()) as (_, cursor):
        assert cursor == Cursor(100, 99, 100)


@MODES
@pytest.mark.parametrize("pace", [HISTORY, LIVE])
async def test_the_first_records_show_soon_and_without_a_flush(
    kafka: Kafka, kafka_access: KafkaAccess, topic: str, mode: Delivery, pace: Pace
) -> None:
    # Later records, and later transactions, would come too late for this test.
    patient, committed = replace(pace, linger_s=600, transaction_s=600), Committed()
    async with publishing(kafka_access, terms(topic, mode, patient), committed) as (publisher, _):
        await publisher.publish(page(0, 1))
        await eventually(lambda: committed == [(1, 1)])
        assert values(kafka, topic) == [0]


@MODES
async def test_an_end_without_records_is_told_once_all_before_it_are_there(
    kafka_access: KafkaAccess, topic: str, mode: Delivery
) -> None:
    committed = Committed()
    async with publishing(kafka_access, terms(topic, mode), committed) as (publisher, _):
        await publisher.publish(page(0, 1))
        await eventually(lambda: committed == [(1, 1)])
        await publisher.publish(Page([], [], [], 60, 60))
        await publisher.flush()
        await publisher.flush()
    assert committed == [(1, 1), (0, 60)]


async def test_each_record_carries_its_own_headers(
    kafka: Kafka, kafka_access: KafkaAccess, topic: str
) -> None:
    marks = (("is_closed", b"true"), ("source", b"rest"))
    async with publishing(kafka_access, terms(topic, EFFECTIVELY, LIVE), Committed()) as (
        publisher, _,
    ):  # fmt: skip
        await publisher.publish(page(0, 2, marks))
        await publisher.publish(page(2, 3))
        await publisher.flush()
    records = topics.read_records(kafka.plain, topic)
    assert [record.headers for record in records] == [marks, marks, ()]


@MODES
async def test_a_producer_is_renewed_before_its_sequence_ends(
    kafka: Kafka,
    kafka_access: KafkaAccess,
    topic: str,
    mode: Delivery,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(producer_module, "RECORDS_PER_PRODUCER", 10_000)
    committed = Committed()
    async with publishing(kafka_access, terms(topic, mode), committed) as (publisher, _):
        producers = set()
        for first in range(0, 50_000, 5_000):
            await publisher.publish(page(first, first + 5_000))
            await publisher.flush()
            producers.add(publisher._way.shipper._producer.raw)  # type: ignore[union-attr]
    assert len(producers) > 2
    assert committed.records == 50_000
    assert values(kafka, topic) == list(range(50_000))


async def test_a_load_of_any_name_keeps_its_cursor(kafka_access: KafkaAccess, topic: str) -> None:
    agreed, name = terms(topic, EXACTLY), "a name of more than 4096 bytes " * 1_000
    async with publishing(kafka_access, agreed, Committed(), name) as (publisher, _):
        await publisher.publish(page(0, 10))
        await publisher.flush()
    async with publishing(kafka_access, agreed, Committed(), name) as (_, cursor):
        assert cursor == Cursor(10, 10, 10)


async def test_a_newer_publisher_fences_the_older_one_whatever_it_does_next(
    kafka: Kafka, kafka_access: KafkaAccess, topic: str
) -> None:
    agreed = terms(topic, EXACTLY, UNCOMMITTED)
    async with publishing(kafka_access, agreed, Committed()) as (older, _):
        await older.publish(page(0, 10))
        async with publishing(kafka_access, agreed, Committed()) as (newer, cursor):
            assert cursor is None
            for _ in range(2):
                with pytest.raises(FencedError):
                    await publish_and_flush(older, page(10, 20))
            await newer.publish(page(0, 5))
            await newer.flush()
    assert values(kafka, topic) == list(range(5))


async def test_without_transactions_the_older_of_two_publishers_gives_up_soon(
    kafka: Kafka, kafka_access: KafkaAccess, topic: str
) -> None:
    agreed = terms(topic, EFFECTIVELY)
    async with publishing(kafka_access, agreed, Committed()) as (older, _):
        await publish_and_flush(older, page(0, 10))
        async with publishing(kafka_access, agreed, Committed()) as (newer, cursor):
            assert cursor == Cursor(10, 10, 10)
            with pytest.raises(FencedError):
                await publish_and_flush(older, page(10, 20))
            for first in range(20, 50, 10):
                await publish_and_flush(newer, page(first, first + 10))
            with pytest.raises(FencedError):
                await older.publish(page(50, 60))
    assert values(kafka, topic) == list(range(50))


@MODES
async def test_nothing_follows_a_page_that_was_cut_short(
    kafka: Kafka, kafka_access: KafkaAccess, topic: str, mode: Delivery
) -> None:
    small = replace(HISTORY, batch_bytes=10_000, linger_s=60)
    async with publishing(kafka_access, terms(topic, mode, small), Committed()) as (publisher, _):
        publishing_much = asyncio.create_task(publisher.publish(page(0, 200_000)))
        async with asyncio.timeout(30):
            while not publisher.unsettled:  # noqa: ASYNC110 - not a moment later than that
                await asyncio.sleep(0)
        publishing_much.cancel()
        await asyncio.wait({publishing_much})
        with pytest.raises(DeliveryUnknownError):
            await publisher.publish(page(200_000, 200_001))
        with pytest.raises(DeliveryUnknownError):
            await publisher.flush()
    found = values(kafka, topic)
    assert found == list(range(len(found)))


@MODES
async def test_nothing_follows_a_batch_that_a_bug_has_lost_behind_our_back(
    kafka: Kafka, kafka_access: KafkaAccess, topic: str, mode: Delivery
) -> None:
    async with publishing(kafka_access, terms(topic, mode, LIVE), Committed()) as (publisher, _):
        sent = asyncio.Event()

        async def send_batch(*_: object, **__: object) -> None:
            sent.set()
            raise RuntimeError("a bug")

        raw = publisher._way.shipper._producer.raw  # type: ignore[union-attr]
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(raw, "send_batch", send_batch)
            await publisher.publish(page(0, 1))
            await asyncio.wait_for(sent.wait(), 30)
        with pytest.raises(DeliveryUnknownError, match="a bug"):
            await publish_and_flush(publisher, page(1, 2))
    assert values(kafka, topic) == []


@MODES
async def test_nothing_follows_a_batch_that_kafka_refuses(
    kafka: Kafka, kafka_access: KafkaAccess, topic: str, mode: Delivery
) -> None:
    # The first batch is too large for the topic, the second is not.
    await set_topic(kafka, topic, "max.message.bytes", 100_000)
    agreed = terms(topic, mode, replace(HISTORY, batch_bytes=200_000))
    large = replace(page(0, 250), records=[b"%01000d" % number for number in range(250)])
    async with publishing(kafka_access, agreed, Committed()) as (publisher, _):
        with pytest.raises(SinkRejectedError, match="raise it to"):
            await publish_and_flush(publisher, large)
    assert values(kafka, topic) == []
    async with publishing(kafka_access, agreed, Committed()) as (_, cursor):
        assert cursor is None


async def test_pages_are_taken_while_a_transaction_is_committed(
    kafka: Kafka, kafka_access: KafkaAccess, topic: str
) -> None:
    small = replace(HISTORY, transaction_bytes=50_000, batch_bytes=20_000)
    committed = Committed()
    async with publishing(kafka_access, terms(topic, EXACTLY, small), committed) as (publisher, _):
        for first in range(0, 60_000, 1_000):
            await publisher.publish(page(first, first + 1_000))
        await publisher.flush()
    assert len(committed) > 3
    assert [through for _, through in committed] == sorted(through for _, through in committed)
    assert committed.records == 60_000
    assert values(kafka, topic) == list(range(60_000))


async def test_a_publisher_that_never_started_can_be_closed(
    kafka_access: KafkaAccess, topic: str
) -> None:
    publisher = RecordPublisher(kafka_access, terms(topic, EXACTLY), on_committed=lambda *_: None)
    async with asyncio.timeout(30):
        await publisher.close()
