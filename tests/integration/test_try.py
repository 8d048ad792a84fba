"""`make try`: a manifest loaded without a cluster, by the real worker into the real Kafka."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from loadertask_devstack import local_run, venue
from loadertask_devstack.kafka.topics import read_records
from loadertask_devstack.stack import CHECKOUT, Stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from loadertask_devstack.kafka import Kafka

pytestmark = pytest.mark.integration

EXAMPLES = CHECKOUT / "examples"


@pytest.fixture
def stack(kafka: Kafka) -> Iterator[Stack]:
    """A stack whose broker is the session's."""
    yield Stack("lt-test-try", kafka.directory)
    venue.stop(kafka.directory)


def test_a_task_in_several_shards_is_loaded_whole(
    stack: Stack, kafka: Kafka, tmp_path: Path
) -> None:
    manifest = tmp_path / "manifest.yaml"
    task = yaml.safe_load((EXAMPLES / "01-candles.yaml").read_text())
    task["spec"] |= {"parallelism": 3, "kafka": {"topic": f"{tmp_path.name}-try"}}
    manifest.write_text(yaml.safe_dump(task))
    told: list[str] = []
    assert local_run.run(stack, manifest, told.append) == 0
    assert len(read_records(kafka.plain, f"{tmp_path.name}-try")) == 1440
    assert "worker 3 of 3" in "\n".join(told)


@pytest.mark.parametrize(
    ("env", "delivery"),
    [
        ([], "effectively_once"),
        ([{"name": "LOADER_DELIVERY", "value": "exactly_once"}], "exactly_once"),
    ],
)
def test_a_task_is_delivered_exactly_once_where_it_demands_that(
    stack: Stack, tmp_path: Path, env: list[dict[str, str]], delivery: str
) -> None:
    manifest = tmp_path / "manifest.yaml"
    task = yaml.safe_load((EXAMPLES / "01-candles.yaml").read_text())
    topic = f"{tmp_path.name}-{delivery}"
    task["spec"] |= {"worker": {"env": env}, "kafka": {"topic": topic}}
    manifest.write_text(yaml.safe_dump(task))
    told: list[str] = []
    assert local_run.run(stack, manifest, told.append) == 0
    assert any(f"delivery {delivery}" in text for text in told), told


def test_the_end_of_a_stream_by_ctrl_c_shows_what_was_loaded(
    stack: Stack, kafka: Kafka, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = tmp_path / "manifest.yaml"
    task = yaml.safe_load((EXAMPLES / "05-live-trades.yaml").read_text())
    task["spec"]["kafka"] = {"topic": f"{tmp_path.name}-live"}
    manifest.write_text(yaml.safe_dump(task))
    told: list[str] = []

    def say(text: str) -> None:
        told.append(text)
        if text.startswith("loading") and read_records(kafka.plain, f"{tmp_path.name}-live"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        local_run.run(stack, manifest, say)
    assert any("Ctrl-C ends the worker" in text for text in told)
    assert "offset 0  key BTCUSDT" in capsys.readouterr().out
    assert told[-1].endswith(f"loadertask_devstack records {tmp_path.name}-live")
