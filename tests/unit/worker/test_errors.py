from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from loadertask_contract.exit_codes import ExitCode, Recovery, recovery_from
from loadertask_contract.parsing import Problem
from loadertask_worker import errors
from loadertask_worker.errors import ConfigurationError, LoadError, SinkError, SourceError

GIVE_UP, RETRY = Recovery.GIVE_UP, Recovery.RETRY


def concrete(cls: type[LoadError] = LoadError) -> Iterator[type[LoadError]]:
    for child in cls.__subclasses__():
        if child in (SourceError, SinkError):
            yield from concrete(child)
        else:
            yield child


TREE = {
    "ConfigurationError": ("BadConfiguration", 78, GIVE_UP),
    "SourceUnavailableError": ("VenueUnavailable", 75, RETRY),
    "ArchiveNeededError": ("ArchiveNeeded", 75, RETRY),
    "RateLimitedError": ("RateLimited", 75, RETRY),
    "BannedError": ("Banned", 69, Recovery.RETRY_AFTER_BAN),
    "RejectedError": ("RefusedByVenue", 65, GIVE_UP),
    "ProtocolViolatedError": ("VenueProtocolViolated", 65, GIVE_UP),
    "SinkUnavailableError": ("KafkaUnavailable", 75, RETRY),
    "DeliveryUnknownError": ("DeliveryUnknown", 75, RETRY),
    "FencedError": ("Fenced", 75, RETRY),
    "SinkRejectedError": ("RefusedByKafka", 78, GIVE_UP),
}


def test_every_error_says_once_what_it_means() -> None:
    found = {
        error.__name__: (error.reason, int(error.exit_code), recovery_from(error.exit_code))
        for error in concrete()
    }
    assert found == TREE


@pytest.mark.parametrize("name", TREE)
def test_the_docstring_is_the_tree(name: str) -> None:
    assert errors.__doc__ is not None
    line = next(line for line in errors.__doc__.splitlines() if f" {name} " in line)
    assert line.rstrip().endswith(str(TREE[name][1]))


def test_reasons_are_unique_and_no_load_error_means_done() -> None:
    reasons = [error.reason for error in concrete()]
    assert len(set(reasons)) == len(reasons)
    assert all(error.exit_code is not ExitCode.DONE for error in concrete())


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ConfigurationError(Problem("A", "is odd"), Problem("B", "too")), "A: is odd; B: too"),
        (errors.RejectedError("klines", 400, -1121, "Invalid symbol."), "(HTTP 400, code -1121)"),
        (errors.RejectedError("klines", 404, None, ""), "(HTTP 404)"),
        (errors.BannedError(datetime(2024, 1, 2, tzinfo=UTC)), "until 2024-01-02T00:00:00+00:00"),
        (
            errors.ArchiveNeededError("A-1m-2024-01-02", "HTTP 403", "nothing of it"),
            "file A-1m-2024-01-02 cannot be used: HTTP 403; REST cannot stand in for it, it keeps"
            " nothing of it",
        ),
        (errors.SinkUnavailableError(60, "refused"), "unreachable for 60 s: refused"),
    ],
)
def test_a_message_carries_what_a_person_needs(error: LoadError, text: str) -> None:
    assert text in str(error)
