"""One table, three places: the worker ends with it, the operator decides by it, a page lists it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from tests.unit.operator.worlds import NOW, make_event, make_job, make_pod, make_task, received

from loadertask_contract.events import Event
from loadertask_contract.exit_codes import ExitCode, Recovery, recovery_from
from loadertask_contract.termination import encode_termination
from loadertask_devstack.reference import DIRECTORY
from loadertask_devstack.reference.errors import final_errors
from loadertask_operator.decide import decide
from loadertask_operator.observed import JobOutcome, Observed, ReceivedEvent
from loadertask_operator.schema import LoaderTask
from loadertask_operator.situation import Rules
from loadertask_worker import errors
from loadertask_worker.inputs import LoadFailed
from loadertask_worker.lifecycle import Identity, Lifecycle, advance

RULES = Rules(grace=timedelta(seconds=60))
BAN_ENDS = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)
ERRORS: list[errors.LoadError] = [
    errors.ConfigurationError.of("SYMBOL", "is odd"),
    errors.SourceUnavailableError("no answer"),
    errors.ArchiveNeededError("BTCUSDT-aggTrades-2023-01-01", "bad checksum", "30 days"),
    errors.RateLimitedError(429, 1.0),
    errors.BannedError(BAN_ENDS),
    errors.RejectedError("klines", 400, -1121, "Invalid symbol."),
    errors.ProtocolViolatedError("rows out of order"),
    errors.SinkUnavailableError(60, "refused"),
    errors.DeliveryUnknownError(7, "no answer"),
    errors.FencedError("worker-a"),
    errors.SinkRejectedError("data", "no right"),
]
PHASES = {
    Recovery.GIVE_UP: "Failed",
    Recovery.RETRY: "Retrying",
    Recovery.RETRY_AFTER_BAN: "Retrying",
}


def test_every_error_that_can_end_a_load_is_walked_here() -> None:
    assert {type(error) for error in ERRORS} == set(final_errors())


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_worker_operator_and_page_agree_on_what_an_error_leads_to(error: errors.LoadError) -> None:
    life = Lifecycle(Identity("wf-1", "BTCUSDT", "api_candles_1m", "p"), started_s=0)
    ended, said = advance(life, LoadFailed(error), 1.0)
    assert ended.exit_code == error.exit_code
    assert ended.exit_code in tuple(ExitCode)

    assert ended.final is not None
    words = encode_termination(ended.final).decode()
    fresh = decide(Observed(make_task()), RULES, NOW).status
    task = make_task(decide(Observed(make_task(fresh), job=make_job()), RULES, NOW).status)
    failed = make_job(outcome=JobOutcome.FAILED)
    pod = make_pod(exit_code=ended.exit_code, message=words)
    plan = decide(Observed(task, job=failed, pod=pod, events=_heard(said, task)), RULES, NOW)
    recovery = recovery_from(ended.exit_code)
    assert plan.status.phase == PHASES[recovery]
    if recovery is Recovery.RETRY_AFTER_BAN:
        waiting = decide(Observed(make_task(plan.status), job=failed, pod=pod), RULES, NOW)
        assert waiting.recheck_at == BAN_ENDS

    page = (DIRECTORY / "exit-codes.md").read_text()
    row = next(line for line in page.splitlines() if f"| `{type(error).__name__}` |" in line)
    assert f"| `{error.reason}` |" in row
    assert row.endswith(f"| {ended.exit_code} | {recovery.in_words} |")


def _heard(said: Sequence[Event], task: LoaderTask) -> tuple[ReceivedEvent, ...]:
    """The terminal events as the operator receives them from the producer that it knows."""
    attempt = task.status.current_attempt
    assert attempt is not None
    return tuple(
        received(make_event(event.payload.status, attempt.producer_id), offset=5)
        for event in said
        if event.payload.finished
    )
