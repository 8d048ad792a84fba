from __future__ import annotations

from datetime import timedelta

import pytest
from tests.unit.operator.worlds import NOW, after, make_job

from loadertask_operator.errors import RefusedError
from loadertask_operator.observed import JobOutcome
from loadertask_operator.pod_refusals import PodRefusals

JOB = make_job()


class Lister:
    """The API server's Events of Jobs."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = []

    async def pod_refusals(self, namespace):
        self.asked.append(namespace)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def refusals(answer, at=5.0):
    lister, clock = Lister(answer), [after(at)]
    return PodRefusals(lister, lambda: clock[0], timedelta(seconds=30)), lister, clock


@pytest.mark.parametrize(
    ("job", "pods", "wanted", "at", "is_asked"),
    [
        (JOB, 0, 1, 5, True),
        (JOB, 1, 4, 5, True),
        (JOB, 0, 1, 4.9, False),
        (JOB, 1, 1, 5, False),
        (None, 0, 1, 5, False),
        (make_job(is_suspended=True), 0, 1, 5, False),
        (make_job(is_deleting=True), 0, 1, 5, False),
        (make_job(outcome=JobOutcome.FAILED), 0, 1, 5, False),
    ],
)
async def test_events_are_listed_only_for_a_job_that_lacks_pods(job, pods, wanted, at, is_asked):
    known, lister, _ = refusals({JOB.uid: "exceeded quota"}, at)
    found = await known.of(job, pods, wanted)
    assert found == ("exceeded quota" if is_asked else None)
    assert lister.asked == (["loads"] if is_asked else [])


async def test_however_many_jobs_ask_a_namespace_is_listed_once_per_interval():
    known, lister, clock = refusals({})
    for _ in range(100):
        assert await known.of(JOB, 0, 1) is None
    assert len(lister.asked) == 1
    clock[0] = NOW + timedelta(seconds=35)
    lister.answer = {JOB.uid: "exceeded quota"}
    assert await known.of(JOB, 0, 1) == "exceeded quota"
    assert len(lister.asked) == 2


async def test_without_the_right_to_list_events_everything_goes_on():
    known, lister, _ = refusals(RefusedError(403, "forbidden"))
    assert await known.of(JOB, 0, 1) is None
    assert await known.of(JOB, 0, 1) is None
    assert len(lister.asked) == 1
