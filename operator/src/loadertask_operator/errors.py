"""Everything that can go wrong at the edges, told once.

ApiError             the API server did not do what was asked, or was not asked
├── NotFoundError    404: the object is gone
├── ConflictError    409: it exists already, or our view of it is outdated
├── RefusedError     400, 403, 405, 413, 415, 422: asking again changes nothing by itself
│   └── InvalidError 400, 413, 422: it is the object itself that is refused, not the asker
├── UnavailableError 429, 5xx, timeouts, no connection: ask again later
├── LostLeadershipError  another operator may lead: nothing was asked, this process ends
└── ClockSetError    the clock was set: nothing is decided by it, this process ends
"""

from __future__ import annotations


class ApiError(Exception):
    """An answer of the API server other than success; ``status`` is 0 without an answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


class NotFoundError(ApiError):
    """The object is gone."""


class ConflictError(ApiError):
    """It exists already, or it has changed since we saw it."""


class RefusedError(ApiError):
    """The request is not acceptable as it is."""


class InvalidError(RefusedError):
    """No right or repair elsewhere would make this very object acceptable."""


class UnavailableError(ApiError):
    """The server cannot answer now."""


class LostLeadershipError(ApiError):
    """The Lease is not ours any more; nothing was sent."""


class ClockSetError(ApiError):
    """The time of day made a step; nothing was asked."""

    def __init__(self, by_s: float) -> None:
        super().__init__(0, f"the clock was set by {by_s:+.0f} s: the operator has to begin anew")


def api_error(status: int, message: str) -> ApiError:
    """The error for an HTTP status."""
    if status == 404:
        return NotFoundError(status, message)
    if status == 409:
        return ConflictError(status, message)
    if status in {400, 413, 422}:
        return InvalidError(status, message)
    if status in {403, 405, 415}:
        return RefusedError(status, message)
    return UnavailableError(status, message)
