"""A load that several workers share: added up, finished together, failing alone (decision 065)."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.operator.test_decide import JOBS, RULES, condition
from tests.unit.operator.worlds import (
    NOW,
    after,
    make_event,
    make_job,
    make_pod,
    make_task,
    received,
    termination,
)

from loadertask_contract.parsing import parse_environment
from loadertask_operator.configuration import read_configuration
from loadertask_operator.decide import decide
from loadertask_operator.fold import fold
from loadertask_operator.manifests.job import render_job
from loadertask_operator.observed import JobOutcome, Observed
from loadertask_operator.shards import telling_pod
from loadertask_operator.status import render_status

SPENT = make_job(
    outcome=JobOutcome.FAILED, failure="MaxFailedIndexesExceeded: too many", failed_shard=1
)


def split(count=3, **spec):
    """A task of ``count`` shards whose Job exists."""
    spec |= {"parallelism": count}
    fresh = decide(Observed(make_task(**spec)), RULES, NOW).status
    task = make_task(fresh, **spec)
    return make_task(decide(Observed(task, job=make_job()), RULES, NOW).status, **spec)


def producer(task, shard):
    return f"{task.status.current_attempt.producer_id}-{shard}"


def told(task, *events, job=JOBS["active"], pods=(), at=0.0):
    """A decision after events of (shard, status, what it says), in this order."""
    received_events = tuple(
        received(make_event(status, producer(task, shard), **says), offset, after(at))
        for offset, (shard, status, says) in enumerate(events)
    )
    telling = telling_pod(pods, job)
    observed = Observed(task, job=job, pod=telling, shard_pods=pods, events=received_events)
    return decide(observed, RULES, after(at))


def all_say(status, count=3, **says):
    return [(shard, status, says) for shard in range(count)]


def shard_pod(shard, exit_code=None, **changes):
    name = {"name": f"btc-1-{shard}-x", "uid": f"pod-{shard}", "shard": shard}
    return replace(make_pod(exit_code=exit_code, **changes), **name)


def test_the_job_is_indexed_and_lets_a_shard_fail_alone():
    task = make_task(parallelism=4, backoffLimit=2)
    attempt = decide(Observed(task), RULES, NOW).create
    job = render_job(task, read_configuration({"KAFKA_BOOTSTRAP_SERVERS": "k:1"}), attempt)
    spec = job["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 4, 4)
    assert (spec["backoffLimitPerIndex"], spec["maxFailedIndexes"]) == (2, 0)
    assert "backoffLimit" not in spec
    hopeless, disruption = spec["podFailurePolicy"]["rules"]
    assert hopeless["onExitCodes"]["values"] == [65, 69, 78]
    assert (hopeless["action"], disruption["action"]) == ("FailJob", "Ignore")
    variables = {item["name"]: item for item in spec["template"]["spec"]["containers"][0]["env"]}
    assert variables["LOADER_SHARD_COUNT"]["value"] == "4"
    assert "LOADER_SHARD_INDEX" not in variables
    values = {name: item["value"] for name, item in variables.items()}
    # As Kubernetes does for a pod of an Indexed Job.
    worker = parse_environment(values | {"JOB_COMPLETION_INDEX": "3"}, NOW).environment
    assert (worker.shard_index, worker.shard_count) == (3, 4)


def test_counts_and_rates_are_added_up():
    says = {"written": 100, "done": 100, "total": 400, "records_per_second": 10}
    plan = told(split(), *all_say("loading", **says))
    status = plan.status
    assert status.records_written == 300
    assert status.progress.percent == 25
    assert status.progress.display == "25% 300/1200 eta 30s"
    assert status.progress.records_per_second == 30
    assert (status.phase, condition(plan, "TelemetryFresh")[0]) == ("Running", "True")


def test_without_the_total_of_each_shard_there_is_no_percentage():
    status = told(split(), (0, "loading", {"written": 9, "done": 9, "total": 9})).status
    assert status.progress.percent is None
    assert status.progress.display == "9 records"


@pytest.mark.parametrize(
    ("said", "through"),
    [
        ([(0, "loading", 10), (1, "loading", 500), (2, "loading", 900)], 10),
        ([(0, "finished", 400), (1, "loading", 500), (2, "loading", 900)], 500),
        ([(0, "finished", 400), (1, "finished", 800), (2, "loading", 900)], 900),
        ([(0, "finished", 400), (1, "started", None), (2, "loading", 900)], 400),
        ([(1, "finished", 800), (2, "finished", 1200)], None),
    ],
)
def test_loaded_through_ends_at_the_first_gap(said, through):
    events = [
        (shard, status, {} if at is None else {"loaded_through": after(at)})
        for shard, status, at in said
    ]
    progress = told(split(), *events).status.progress
    assert progress.loaded_through == (None if through is None else after(through))


def test_the_load_is_finished_when_every_shard_is():
    two = told(split(), *all_say("finished", 2), job=JOBS["active"])
    assert two.status.phase == "Running"
    three = told(split(), *all_say("finished", 3, written=5), job=JOBS["complete"])
    assert condition(three, "Complete") == ("True", "LoadFinished")
    assert three.status.records_written == 15


def test_a_job_that_completes_without_the_last_word_of_a_shard_has_not_finished_the_load():
    task = split(backoffLimit=0)
    plan = told(task, *all_say("finished", 2), job=JOBS["complete"])
    assert plan.status.phase == "Stopping"
    late = told(task, *all_say("finished", 2), job=JOBS["complete"], at=60)
    assert condition(late, "Failed") == ("True", "NoTerminalEvent")


def test_termination_logs_of_all_shards_are_enough_when_kafka_is_down():
    task = split(2)
    pods = tuple(
        shard_pod(n, 0, message=termination("finished", producer(task, n), written=7))
        for n in (0, 1)
    )
    plan = told(task, job=JOBS["complete"], pods=pods)
    assert condition(plan, "Complete") == ("True", "LoadFinished")
    assert plan.status.records_written == 14
    assert told(task, job=JOBS["complete"], pods=pods[:1]).status.phase == "Stopping"


def test_a_failed_shard_is_started_again_alone_and_the_load_goes_on():
    task = split(2)
    events = [(0, "loading", {}), (1, "error", {"written": 3, "message": "venue is gone"})]
    plan = told(task, *events, pods=(shard_pod(0), shard_pod(1, 75)))
    assert plan.status.phase == "Running"
    assert plan.status.message == "shard 1 ended with exit code 75; Kubernetes starts it again"
    assert (plan.delete_job, plan.status.failures) == (None, 0)
    later = told(task, *events, at=120, pods=(shard_pod(0), shard_pod(1, 75)))
    assert later.status.phase == "Running"  # its grace is for the last word of all
    events += [(1, "started", {"written": 3}), (0, "finished", {}), (1, "finished", {"written": 9})]
    done = told(task, *events, job=JOBS["complete"], pods=(shard_pod(0, 0), shard_pod(1, 0)))
    assert condition(done, "Complete") == ("True", "LoadFinished")
    assert done.status.records_written == 9
    assert done.status.telemetry.events_applied == 5


def test_a_shard_that_has_used_up_its_retries_fails_the_task_and_is_named():
    pods = (shard_pod(0, 75), shard_pod(1, 137))
    plan = told(split(2), *all_say("loading", 2), job=SPENT, pods=pods)
    assert condition(plan, "Failed") == ("True", "BackoffLimitExceeded")
    assert "shard 1: the worker ended with exit code 137" in plan.status.message
    assert plan.status.failures == 5


def test_without_retries_the_reason_is_the_one_of_the_shard():
    pods = (shard_pod(0, 75), shard_pod(1, 75))
    events = [(0, "loading", {}), (1, "error", {})]
    plan = told(split(2, backoffLimit=0), *events, job=SPENT, pods=pods)
    assert condition(plan, "Failed") == ("True", "WorkerError")


def test_what_no_retry_mends_in_one_shard_ends_the_task():
    failure = (
        "PodFailurePolicy: Container loader for pod loads/btc-1-1-x failed with exit code 78 m"
    )
    job = make_job(outcome=JobOutcome.FAILED, failure=failure)
    pods = (shard_pod(0, 75), shard_pod(1, 78))
    plan = told(split(2), (0, "loading", {}), (1, "error", {}), job=job, pods=pods)
    assert condition(plan, "Failed") == ("True", "BadConfiguration")
    assert plan.status.message.startswith("shard 1: ")


def test_shards_that_stop_together_are_stopped_and_a_finished_one_among_them_is_no_success():
    task = split(2)
    some = told(task, (0, "finished", {}), (1, "loading", {}))
    assert some.status.phase == "Running"
    plan = told(task, (0, "finished", {}), (1, "interrupted", {}), job=JOBS["complete"])
    assert condition(plan, "Complete") == ("True", "StoppedByCommand")


def test_a_stop_is_acknowledged_when_every_shard_has_reacted():
    task = make_task(split(2).status, parallelism=2, stop=True)
    one = told(task, (0, "interrupted", {}), (1, "loading", {}))
    assert one.status.stop.acknowledged_at is None
    both = told(task, *all_say("interrupted", 2))
    assert both.status.stop.acknowledged_at == NOW


def test_a_new_attempt_keeps_what_the_shards_have_committed_and_none_of_their_words():
    task = split(2, backoffLimit=9)
    said = [(0, "finished", {"written": 40, "loaded_through": after(400)}), (1, "loading", {})]
    failed = told(task, *said, job=JOBS["active"], at=0)
    overdue = decide(
        Observed(make_task(failed.status, parallelism=2), job=JOBS["active"]), RULES, after(301)
    ).status
    assert overdue.attempt_history[-1].reason == "ProgressDeadlineExceeded"
    again = decide(Observed(make_task(overdue, parallelism=2)), RULES, after(400))
    shards = again.status.shards
    assert [(shard.status, shard.records_written) for shard in shards] == [(None, 40), (None, 0)]
    assert again.status.progress.loaded_through == after(400)
    assert again.status.records_written == 40


@pytest.mark.parametrize("suffix", ["-3", "-64", "-01", "--1", "", "-x", "-²", "-99999999999999"])
def test_who_is_no_shard_of_the_attempt_moves_nothing(suffix):
    task = split(3)
    name = f"{task.status.current_attempt.producer_id}{suffix}"
    status = fold(task.status, [received(make_event("finished", name, written=9))])
    assert (status.records_written, status.telemetry.events_discarded) == (0, 1)


def test_events_of_a_shard_after_its_last_word_are_only_counted():
    events = [(0, "finished", {"written": 5}), (0, "loading", {"written": 99})]
    status = told(split(2), *events).status
    assert (status.records_written, status.telemetry.events_discarded) == (5, 1)


def test_any_shard_that_gets_further_is_progress():
    task = split(2)
    begun = told(task, *all_say("started", 2))
    further = make_event("loading", producer(task, 1), loaded_through=after(900))
    at = received(further, 9, after(200))
    observed = Observed(make_task(begun.status, parallelism=2), job=JOBS["active"], events=(at,))
    assert decide(observed, RULES, after(499)).status.phase == "Running"
    assert decide(observed, RULES, after(500)).status.phase == "Retrying"


def test_the_status_of_64_shards_stays_small_and_has_no_float():
    says = {
        "written": 2**60,
        "done": 2**60,
        "total": 2**61,
        "records_per_second": 10**9,
        "loaded_through": after(5),
        "message": "x" * 5000,
    }
    rendered = json.dumps(render_status(told(split(64), *all_say("loading", 64, **says)).status))
    assert len(rendered) < 20_000
    numbers = []
    json.loads(rendered, parse_float=numbers.append)
    assert numbers == []


_WORDS = st.sampled_from(["started", "loading", "interrupted", "error", "finished"])


@given(
    st.lists(st.tuples(st.integers(0, 2), _WORDS, st.integers(0, 50)), max_size=20),
    st.data(),
)
def test_a_replay_of_any_part_changes_no_shard(said, data):
    task = split(3)
    events = [
        received(make_event(word, producer(task, shard), written=n), offset, NOW)
        for offset, (shard, word, n) in enumerate(said)
    ]
    once = fold(task.status, events)
    again = fold(once, events[data.draw(st.integers(0, len(events))) :])
    assert (again.shards, again.records_written) == (once.shards, once.records_written)
    assert sum(shard.records_written for shard in once.shards) == once.records_written


def test_loaded_through_does_not_fall_back_when_a_new_attempt_begins():
    task = split(3, backoffLimit=9)
    said = [(shard, "finished", {"loaded_through": after(400 * (shard + 1))}) for shard in range(2)]
    first = told(task, *said, (2, "loading", {"loaded_through": after(900)}))
    assert first.status.progress.loaded_through == after(900)
    overdue = decide(
        Observed(make_task(first.status, parallelism=3), job=JOBS["active"]), RULES, after(301)
    ).status
    again = decide(Observed(make_task(overdue, parallelism=3)), RULES, after(400)).status
    begun = received(make_event("started", f"{again.current_attempt.producer_id}-0"), 9, after(401))
    assert fold(again, [begun]).progress.loaded_through == after(900)


def test_a_refused_pod_of_one_shard_does_not_hide_that_the_others_run():
    task = split(2)
    observed = Observed(
        task, job=JOBS["active"], shard_pods=(shard_pod(0),), pod_refusal="exceeded quota"
    )
    plan = decide(observed, RULES, NOW)
    assert condition(plan, "Running") == ("True", "PodRunning")
    assert "exceeded quota" in plan.status.message
