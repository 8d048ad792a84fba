"""The replay as a detached process: started once, found again, stopped, with clear failures."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loadertask_devstack import venue as replay
from loadertask_devstack.errors import DevstackError
from loadertask_devstack.venue import Venue


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    replay.stop(tmp_path)


def read(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=60) as response:  # noqa: S310 - our own replay
        return json.load(response)


def test_a_second_start_finds_the_first_and_other_settings_replace_it(directory: Path) -> None:
    first = replay.start(directory, weight_limit=77)
    again = replay.start(directory, weight_limit=77)
    assert (again.process.pid, again.url) == (first.process.pid, first.url)
    assert read(f"{first.url}/_replay/")["weight_per_minute"] == 77
    other = replay.start(directory, weight_limit=78)
    assert other.process.pid != first.process.pid
    assert not first.process.is_running()
    replay.stop(directory)
    assert not other.process.is_running()


def test_one_that_listens_for_pods_serves_this_machine_too(directory: Path) -> None:
    for_pods = replay.start(directory, host="127.0.0.2")
    assert replay.start(directory).process.pid == for_pods.process.pid
    assert read(f"{for_pods.url}/api/v3/ping") == {}
    port = for_pods.url.rpartition(":")[2]
    assert read(f"http://127.0.0.2:{port}/api/v3/ping") == {}


def test_compression_can_be_left_out_for_benchmarks(directory: Path) -> None:
    url = f"{replay.start(directory, compress=False).url}/api/v3/exchangeInfo"
    request = urllib.request.Request(url, headers={"Accept-Encoding": "gzip"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
        assert "Content-Encoding" not in response.headers


def test_its_log_says_what_is_recorded_and_that_the_rest_is_synthetic(directory: Path) -> None:
    log = replay.start(directory).process.log.read_text()
    assert "recorded: BTCUSDT 1m 2020-01-01..2020-01-03" in log
    assert "SYNTHETIC: every other symbol" in log


def test_a_missing_folder_of_recordings_is_named(directory: Path) -> None:
    with pytest.raises(DevstackError, match="nowhere is not there"):
        replay.start(directory, recordings=directory / "nowhere")


def test_the_replay_of_the_session_answers_with_its_weight_out_of_the_way(venue: Venue) -> None:
    assert read(f"{venue.url}/_replay/")["weight_per_minute"] == 1_000_000
