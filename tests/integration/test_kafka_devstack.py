from __future__ import annotations

import asyncio
import os
import socket
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.conn import create_conn
from aiokafka.errors import (
    KafkaConnectionError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)
from confluent_kafka import KafkaException, Producer

from loadertask_devstack import kafka as devstack_kafka
from loadertask_devstack.errors import DevstackError
from loadertask_devstack.kafka import Kafka, running_kafka, topics
from loadertask_devstack.kafka.access import AccessRule, add_rules, remove_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

pytestmark = pytest.mark.integration


def login(kafka: Kafka, user: str, password: str | None = None) -> dict[str, Any]:
    return {
        "bootstrap_servers": kafka.secure,
        "security_protocol": "SASL_SSL",
        "ssl_context": ssl.create_default_context(cafile=kafka.ca_path),
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": user,
        "sasl_plain_password": password or kafka.password(user),
    }


async def send(kafka: Kafka, user: str, topic: str, values: Iterable[bytes]) -> None:
    async with AIOKafkaProducer(**login(kafka, user), acks="all") as producer:
        for value in values:
            await producer.send_and_wait(topic, value, key=b"BTCUSDT")


def processes_of(directory: Path) -> list[str]:
    """The command lines of all processes that mention the directory."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_text().replace("\0", " ")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if str(directory) in command:
                found.append(command)
    return found


@pytest.mark.parametrize("user", ["operator", "loader", "loader-transactional"])
async def test_platform_users_write_and_read_over_tls_with_scram(
    kafka: Kafka, topic: str, unique: Callable[[str], str], user: str
) -> None:
    await send(kafka, user, topic, [b"1", b"2"])
    async with AIOKafkaConsumer(
        topic, **login(kafka, user), group_id=unique("group"), auto_offset_reset="earliest"
    ) as consumer:
        records = [await anext(consumer), await anext(consumer)]
        await consumer.commit()
    assert [record.value for record in records] == [b"1", b"2"]


async def test_a_wrong_password_is_refused(kafka: Kafka) -> None:
    wrong = login(kafka, "loader", "wrong")
    refused = AIOKafkaProducer(**wrong)
    with pytest.raises(KafkaConnectionError):
        await refused.start()
    await refused.stop()
    host, port = wrong.pop("bootstrap_servers").split(":")
    with pytest.raises(SaslAuthenticationFailed):
        await create_conn(host, int(port), **wrong)


async def test_a_client_that_trusts_another_ca_refuses_the_broker(kafka: Kafka) -> None:
    strangers = login(kafka, "loader") | {"ssl_context": ssl.create_default_context()}
    host, port = strangers.pop("bootstrap_servers").split(":")
    with pytest.raises(ssl.SSLCertVerificationError):
        await create_conn(host, int(port), **strangers)


async def test_transactional_ids_are_refused_until_an_acl_grants_them(
    kafka: Kafka, topic: str, unique: Callable[[str], str]
) -> None:
    name = unique("transactional")
    refused = AIOKafkaProducer(**login(kafka, "loader"), transactional_id=name)
    with pytest.raises(TransactionalIdAuthorizationFailed):
        await refused.start()
    await refused.stop()
    rules = [
        AccessRule("loader", "transactional-id", operation, name)
        for operation in ("WRITE", "DESCRIBE")
    ]
    add_rules(kafka.plain, rules)
    async with AIOKafkaProducer(**login(kafka, "loader"), transactional_id=name) as producer:
        async with producer.transaction():
            await producer.send_and_wait(topic, b"committed")
        await producer.begin_transaction()
        await producer.send_and_wait(topic, b"aborted")
        await producer.abort_transaction()
    remove_rules(kafka.plain, rules)
    committed = topics.read_records(kafka.plain, topic)
    everything = topics.read_records(kafka.plain, topic, uncommitted=True)
    assert [record.value for record in committed] == [b"committed"]
    assert [record.value for record in everything] == [b"committed", b"aborted"]


async def test_a_topic_that_an_acl_denies_is_refused(kafka: Kafka, topic: str) -> None:
    denial = AccessRule("loader", "topic", "WRITE", topic, is_allowed=False)
    add_rules(kafka.plain, [denial])
    with pytest.raises(TopicAuthorizationFailedError):
        await send(kafka, "loader", topic, [b"never"])
    remove_rules(kafka.plain, [denial])
    assert topics.read_records(kafka.plain, topic) == []


def test_the_platforms_topics_are_there(kafka: Kafka) -> None:
    for name in topics.PLATFORM_TOPICS:
        assert topics.end_offsets(kafka.plain, name).keys() == {0}


def test_records_are_read_as_they_were_written(kafka: Kafka, unique: Callable[[str], str]) -> None:
    name = unique("partitions")
    topics.create_topic(kafka.plain, name, partitions=2, configs={"retention.ms": "-1"})
    producer = Producer({"bootstrap.servers": kafka.plain})
    for number in range(6):
        producer.produce(
            name,
            key=b"k",
            value=str(number).encode(),
            partition=number % 2,
            headers=[("kind", b"gap")],
            timestamp=1_000 + number,
        )
    assert producer.flush(30) == 0
    records = topics.read_records(kafka.plain, name)
    assert [(record.partition, record.offset) for record in records] == [
        (partition, offset) for partition in (0, 1) for offset in (0, 1, 2)
    ]
    assert [record.value for record in records] == [b"0", b"2", b"4", b"1", b"3", b"5"]
    assert {record.headers for record in records} == {(("kind", b"gap"),)}
    assert records[0].key == b"k"
    assert records[0].timestamp_ms == 1_000
    assert topics.end_offsets(kafka.plain, name) == {0: 3, 1: 3}
    assert len(topics.read_records(kafka.plain, name, limit=2)) == 2
    assert len(topics.read_records(kafka.plain, name, first_offset=2)) == 2
    topics.delete_topic(kafka.plain, name)


def test_a_missing_topic_is_named(kafka: Kafka, unique: Callable[[str], str]) -> None:
    name = unique("missing")
    with pytest.raises(DevstackError, match=name):
        topics.read_records(kafka.plain, name)
    with pytest.raises(DevstackError, match=name):
        topics.end_offsets(kafka.plain, name)
    with pytest.raises(KafkaException, match="UNKNOWN_TOPIC"):
        topics.delete_topic(kafka.plain, name)


def test_an_existing_topic_is_not_made_twice(kafka: Kafka, topic: str) -> None:
    with pytest.raises(KafkaException, match="TOPIC_ALREADY_EXISTS"):
        topics.create_topic(kafka.plain, topic)
    topics.create_topic(kafka.plain, topic, exist_ok=True)


def test_a_user_that_does_not_exist_has_no_password(kafka: Kafka) -> None:
    with pytest.raises(DevstackError, match="operator, loader"):
        kafka.password("nobody")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    with running_kafka(tmp_path_factory.mktemp("own-kafka")) as broker:
        yield broker


async def test_a_killed_broker_comes_back_on_its_ports_with_its_records(own: Kafka) -> None:
    topics.create_topic(own.plain, "kept")
    await send(own, "loader", "kept", [b"before"])
    devstack_kafka.kill(own.directory)
    assert devstack_kafka.find(own.directory) is None
    again = devstack_kafka.start(own.directory)
    assert (again.plain, again.secure) == (own.plain, own.secure)
    assert again.pid != own.pid
    await send(again, "loader", "kept", [b"after"])
    records = topics.read_records(again.plain, "kept")
    assert [record.value for record in records] == [b"before", b"after"]


def test_starting_a_running_broker_changes_nothing(own: Kafka) -> None:
    running = devstack_kafka.start(own.directory)
    assert devstack_kafka.start(own.directory) == running
    assert devstack_kafka.find(own.directory) == running


async def test_asking_for_pods_restarts_it_once_on_the_same_ports(own: Kafka) -> None:
    before = devstack_kafka.start(own.directory)
    opened = devstack_kafka.start(own.directory, host_address="127.0.0.1")
    assert opened.pid != before.pid
    assert (opened.plain, opened.pods_port) == (before.plain, before.pods_port)
    assert devstack_kafka.start(own.directory) == opened
    await send(opened, "loader", "queue-events", [b"as before"])


@pytest.mark.parametrize(
    "name", ["kafka-bootstrap.kafka", "kafka-bootstrap.kafka.svc.cluster.local", "127.0.0.1"]
)
async def test_pods_are_shown_a_certificate_that_python_3_13_accepts(
    kafka: Kafka, name: str
) -> None:
    strict = ssl.create_default_context(cafile=kafka.ca_path)
    strict.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    _, writer = await asyncio.open_connection(
        "127.0.0.1", kafka.pods_port, ssl=strict, server_hostname=name
    )
    writer.close()
    await writer.wait_closed()


def test_a_stopped_broker_leaves_no_process(own: Kafka) -> None:
    devstack_kafka.start(own.directory)
    assert processes_of(own.directory)
    devstack_kafka.stop(own.directory)
    assert processes_of(own.directory) == []
    assert devstack_kafka.find(own.directory) is None


def test_a_port_taken_by_another_program_is_named(own: Kafka) -> None:
    devstack_kafka.stop(own.directory)
    address, port = own.plain.split(":")
    with (
        socket.create_server((address, int(port))),
        pytest.raises(DevstackError, match=f"another program listens on Kafka's port {port}"),
    ):
        devstack_kafka.start(own.directory)
    assert devstack_kafka.find(own.directory) is None
