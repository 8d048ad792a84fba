"""The real dependencies that integration tests share: started once, ended with the session."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.integration.api_server_fixtures import api_server, clients, namespace  # noqa: F401
from tests.integration.loader_tasks import custom_objects, dry, tasks  # noqa: F401
from tests.integration.operator_fixtures import cluster, proxy  # noqa: F401
from tests.integration.venue_fixtures import venue  # noqa: F401

from loadertask_devstack.kafka import Kafka, running_kafka, topics

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

TEST_TIMEOUT_S = 240
_LOG_CHARACTERS = 20_000


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bound the tests here without their fixtures: the first start of all fetches Kafka."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(TEST_TIMEOUT_S, func_only=True))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, Any]:
    """A failure carries the logs of the operators that the test spoke to (`World`, `Pair`)."""
    report = yield
    if report.failed:
        for name, value in getattr(item, "funcargs", {}).items():
            if callable(log := getattr(value, "log", None)):
                report.sections.append((f"log of {name}", str(log())[-_LOG_CHARACTERS:]))
    return report


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """The session's broker. A test that ends a broker takes `running_kafka` for its own."""
    with running_kafka(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture
def unique() -> Callable[[str], str]:
    """Makes names (of topics, queues, groups) that no other test has: unique("candles")."""
    return lambda stem: f"{stem}-{secrets.token_hex(4)}"


@pytest.fixture
def topic(kafka: Kafka, unique: Callable[[str], str]) -> Iterator[str]:
    """A fresh topic of one partition, deleted after the test."""
    name = unique("topic")
    topics.create_topic(kafka.plain, name)
    yield name
    topics.delete_topic(kafka.plain, name)
