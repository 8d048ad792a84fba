"""The one error of devstack: what is missing or went wrong, and how to get it."""

from __future__ import annotations


class DevstackError(Exception):
    """A failure that a person can act on; the command line prints it without a traceback."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}\n  → {remedy}")
        self.what = what
        self.remedy = remedy
