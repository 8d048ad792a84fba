from __future__ import annotations

from pathlib import Path

import yaml
from tests.unit.operator.worlds import NOW, after

from loadertask_operator.conditions import Claim, ConditionType, Reason, Truth, with_claims
from loadertask_operator.status import Phase

CRD = Path(__file__).resolve().parents[3] / "crds/loadertasks.yaml"
RUNNING = Claim(ConditionType.RUNNING, Truth.TRUE, Reason.POD_RUNNING)


def test_the_transition_time_changes_with_the_status_only():
    first = with_claims((), [RUNNING], NOW, 1)
    other_reason = Claim(ConditionType.RUNNING, Truth.TRUE, Reason.FINISHED)
    second = with_claims(first, [other_reason], after(5), 2)
    assert second[0].last_transition_time == NOW
    assert (second[0].reason, second[0].observed_generation) == ("Finished", 2)
    third = with_claims(
        second, [Claim(ConditionType.RUNNING, Truth.FALSE, Reason.FINISHED)], after(9), 2
    )
    assert third[0].last_transition_time == after(9)


def test_a_condition_that_says_the_same_is_kept_as_it_is():
    long = Claim(ConditionType.RUNNING, Truth.FALSE, Reason.POD_PENDING, "ä" * 2000)
    for claim in (RUNNING, long):
        first = with_claims((), [claim], NOW, 1)
        assert with_claims(first, [claim], after(5), 1)[0] is first[0]
        assert with_claims(first, [claim], after(5), 2)[0].observed_generation == 2


def test_an_end_is_never_changed():
    complete = Claim(ConditionType.COMPLETE, Truth.TRUE, Reason.LOAD_FINISHED, "all")
    ended = with_claims((), [complete], NOW, 1)
    again = Claim(ConditionType.COMPLETE, Truth.FALSE, Reason.STOPPED)
    assert with_claims(ended, [again], after(5), 2) == ended


def test_messages_are_cut_to_a_kibibyte():
    claim = Claim(ConditionType.RUNNING, Truth.TRUE, Reason.POD_RUNNING, "ä" * 2000)
    message = with_claims((), [claim], NOW, 1)[0].message
    assert len(message.encode()) <= 1024
    assert message.endswith("...")


def test_the_phases_are_those_of_the_schema():
    schema = yaml.safe_load(CRD.read_text())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    phases = schema["properties"]["status"]["properties"]["phase"]["enum"]
    assert sorted(phases) == sorted(Phase)
