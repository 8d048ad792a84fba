from __future__ import annotations

from datetime import datetime

import pytest

from loadertask_operator.status import Status, parse_status, whole_seconds

BEYOND = "0001-01-01T00:00:00+14:00"


def test_a_moment_beyond_the_calendar_is_a_value_error():
    with pytest.raises(ValueError, match="beyond the calendar"):
        whole_seconds(datetime.fromisoformat(BEYOND))


@pytest.mark.parametrize(
    "nonsense",
    [
        {"startTime": BEYOND},
        {"completionTime": "9999-12-31T23:59:59-14:00"},
        {"start_time": "never"},
        {"progress": {"loadedThrough": BEYOND}},
        {"conditions": [{"type": "Complete", "lastTransitionTime": BEYOND}]},
        {"attemptHistory": [7], "telemetry": "x", "": None},
        {"shards": [{"index": 0}]},
        {"shards": [{"index": 0}, {"index": 5}]},
        {"shards": [{"index": -1}, {"index": 0}]},
        {"shards": [{"index": 0}, {"index": 1, "loadedThrough": BEYOND}]},
    ],
)
def test_what_somebody_edited_into_nonsense_counts_as_absent(nonsense):
    assert parse_status({"attempts": 3, **nonsense}) == Status(attempts=3)
