"""Every cell of the arbitration matrix of design operator §2: at once, and a grace later."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from tests.unit.operator.test_decide import JOBS, RULES, look, started
from tests.unit.operator.worlds import NOW, after, make_event, make_pod, make_task, received

from loadertask_operator import names
from loadertask_operator.decide import decide
from loadertask_operator.observed import Observed

WORDS = (None, "started", "loading", "finished", "interrupted", "error")
ROWS = {
    # Job as ``look`` knows it, pod
    "pod pending": ("active", make_pod(phase="Pending")),
    "pod running": ("active", make_pod()),
    "Job complete": ("complete", make_pod(exit_code=0)),
    "Job failed": ("failed", make_pod(exit_code=137)),
    "Job failed, its pod unseen": ("failed", None),
    "Job disappeared": ("none", None),
}
CELLS = {
    # at once, after a grace in which nothing more happens
    ("pod pending", None): ("Starting", "Starting"),
    ("pod pending", "started"): ("Running", "Running"),
    ("pod pending", "loading"): ("Running", "Running"),
    ("pod pending", "finished"): ("Running", "Succeeded"),
    ("pod pending", "interrupted"): ("Stopping", "Stopped"),
    ("pod pending", "error"): ("Running", "Retrying"),
    ("pod running", None): ("Starting", "Starting"),
    ("pod running", "started"): ("Running", "Running"),
    ("pod running", "loading"): ("Running", "Running"),
    ("pod running", "finished"): ("Stopping", "Succeeded"),
    ("pod running", "interrupted"): ("Stopping", "Stopped"),
    ("pod running", "error"): ("Stopping", "Retrying"),
    ("Job complete", None): ("Stopping", "Retrying"),
    ("Job complete", "started"): ("Stopping", "Retrying"),
    ("Job complete", "loading"): ("Stopping", "Retrying"),
    ("Job complete", "finished"): ("Succeeded", "Succeeded"),
    ("Job complete", "interrupted"): ("Stopped", "Stopped"),
    ("Job complete", "error"): ("Retrying", "Retrying"),
    ("Job failed", None): ("Retrying", "Retrying"),
    ("Job failed", "started"): ("Retrying", "Retrying"),
    ("Job failed", "loading"): ("Retrying", "Retrying"),
    ("Job failed", "finished"): ("Succeeded", "Succeeded"),
    ("Job failed", "interrupted"): ("Stopped", "Stopped"),
    ("Job failed", "error"): ("Retrying", "Retrying"),
    ("Job failed, its pod unseen", None): ("Stopping", "Retrying"),
    ("Job failed, its pod unseen", "started"): ("Stopping", "Retrying"),
    ("Job failed, its pod unseen", "loading"): ("Stopping", "Retrying"),
    ("Job failed, its pod unseen", "finished"): ("Succeeded", "Succeeded"),
    ("Job failed, its pod unseen", "interrupted"): ("Stopped", "Stopped"),
    ("Job failed, its pod unseen", "error"): ("Stopping", "Retrying"),
    # A retry without anything to wait for is the next attempt by then.
    ("Job disappeared", None): ("Running", "Retrying"),
    ("Job disappeared", "started"): ("Running", "Retrying"),
    ("Job disappeared", "loading"): ("Running", "Retrying"),
    ("Job disappeared", "finished"): ("Succeeded", "Succeeded"),
    ("Job disappeared", "interrupted"): ("Stopped", "Stopped"),
    ("Job disappeared", "error"): ("Retrying", "Pending"),
}
RESTS = {"Stopped": "Suspended", "Stopping": "Stopping"}


def test_no_cell_is_missing():
    assert set(CELLS) == set(product(ROWS, WORDS))


def two_looks(row, said, **spec):
    """The same cell at once, and when a grace has passed over what was stored of it."""
    job, pod = ROWS[row]
    task = make_task(started().status, **spec)
    first = look(task, job, pod, said)
    return first, look(make_task(first.status, **spec), job, pod, at=60)


@pytest.mark.parametrize(("row", "said"), CELLS)
def test_a_cell_of_the_matrix(row, said):
    first, second = two_looks(row, said)
    assert (first.status.phase, second.status.phase) == CELLS[row, said]
    assert first.create is None
    assert (second.create is not None) == (second.status.phase == "Pending")


@pytest.mark.parametrize("row", ROWS)
def test_interrupted_is_a_rest_for_a_task_that_is_to_rest(row):
    first, second = two_looks(row, "interrupted", suspend=True)
    expected = tuple(RESTS[phase] for phase in CELLS[row, "interrupted"])
    assert (first.status.phase, second.status.phase) == expected
    assert second.status.completion_time is None


@pytest.mark.parametrize("said", WORDS)
def test_before_there_is_an_attempt_no_word_of_anybody_counts(said):
    task = make_task()
    sender = names.producer_id(task.uid, 1, task.spec.type.task_type)
    events = (received(make_event(said, sender)),) if said else ()
    plan = decide(Observed(task, events=events), RULES, NOW)
    assert (plan.status.phase, plan.create.number) == ("Pending", 1)
    assert plan.status.last_event is None
    counted = plan.status.telemetry.events_discarded if plan.status.telemetry else 0
    assert counted == len(events)


@pytest.mark.parametrize("said", WORDS[1:])
@pytest.mark.parametrize("row", ROWS)
def test_a_word_from_an_ended_attempt_moves_no_cell_of_the_next(row, said):
    """The second attempt stands where it stands without it."""
    job, pod = ROWS[row]
    first = started().status.current_attempt
    attempt = first.model_copy(update={"number": 2, "job_name": "btc-2", "producer_id": "x__2"})
    task = make_task(started().status.model_copy(update={"current_attempt": attempt}))
    late = (received(make_event(said, first.producer_id), 5),)
    state = JOBS[job] and replace(JOBS[job], name="btc-2", attempt=2)
    silent = decide(Observed(task, job=state, pod=pod), RULES, after(0))
    plan = decide(Observed(task, job=state, pod=pod, events=late), RULES, after(0))
    assert plan.status.conditions == silent.status.conditions
    assert plan.status.telemetry.events_discarded == 1
