"""The venue replay as a process of its own, for tests that let a worker or a pod talk to it.

A test that wants faults, limits or a clock of its own takes `running_venue` instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from loadertask_devstack import venue as venue_replay

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadertask_devstack.venue import Venue


@pytest.fixture(scope="session")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    """The session's replay; its limits are out of the way of many tests in one minute."""
    directory = tmp_path_factory.mktemp("venue")
    yield venue_replay.start(
        directory,
        weight_limit=1_000_000,
        stream_rules={"connects_per_five_minutes": 1_000_000},
    )
    venue_replay.stop(directory)
