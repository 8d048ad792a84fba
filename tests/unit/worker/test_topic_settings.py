from __future__ import annotations

import pytest

from loadertask_worker.kafka.topic_settings import settings_problem

DAY_MS = 86_400_000
NOW_MS = 1_704_412_800_000


@pytest.mark.parametrize(
    ("settings", "age_days", "named"),
    [
        ({"retention.ms": "-1", "cleanup.policy": "delete"}, 1000, None),
        ({"retention.ms": str(DAY_MS), "cleanup.policy": "delete"}, 2, "retention.ms=86400000"),
        ({"retention.ms": str(DAY_MS), "cleanup.policy": "delete"}, 1, "retention.ms=86400000"),
        ({"retention.ms": str(7 * DAY_MS), "cleanup.policy": "delete"}, 2, None),
        ({"retention.ms": str(DAY_MS), "cleanup.policy": "compact,delete"}, 2, "retention.ms"),
        ({"retention.ms": str(DAY_MS), "cleanup.policy": "compact"}, 2, None),
        ({"retention.ms": "-1", "message.timestamp.type": "LogAppendTime"}, 2, "LogAppendTime"),
        ({"retention.ms": str(DAY_MS), "cleanup.policy": "delete"}, None, None),
    ],
)
def test_the_venues_time_is_refused_where_the_topic_would_not_keep_it(
    settings: dict[str, str], age_days: int | None, named: str | None
) -> None:
    oldest_ms = None if age_days is None else NOW_MS - age_days * DAY_MS
    problem = settings_problem("candles", settings, oldest_ms, NOW_MS)
    if named is None:
        assert problem is None
    else:
        assert problem is not None
        assert problem.variable == "LOADER_RECORD_TIME"
        assert named in problem.message
