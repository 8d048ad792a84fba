"""What a person is told while something takes long."""

from __future__ import annotations

import re
import threading

import pytest

from loadertask_devstack.progress import elapsed


def test_a_short_step_is_told_once() -> None:
    said: list[str] = []

    with elapsed(said.append, "a step"):
        pass

    assert said == ["a step"]


def test_a_long_step_is_told_at_each_interval_with_its_state_and_at_its_end() -> None:
    said: list[str] = []
    told = threading.Event()

    def say(text: str) -> None:
        said.append(text)
        if len(said) == 3:
            told.set()

    with elapsed(say, "a step", lambda: "half of it", interval_s=0.01):
        assert told.wait(30)

    first, *intervals, last = said
    assert first == "a step"
    assert len(intervals) >= 2
    assert all(re.fullmatch(r"a step: \d+ s, half of it", each) for each in intervals)
    assert re.fullmatch(r"a step: \d+ s, done", last)


def test_a_failed_step_is_not_told_as_done() -> None:
    said: list[str] = []

    with pytest.raises(RuntimeError), elapsed(said.append, "a step", interval_s=0):
        raise RuntimeError

    assert not any("done" in text for text in said)
