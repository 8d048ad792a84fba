"""Bans by the venue (HTTP 418): they hold for an address, and so for every task behind it.

Which tasks share an address is told by the host of ``binance.apiUrl``: all pods of a cluster are
taken to leave it by the same address. No clock of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from loadertask_operator.schema import LoaderTask, Spec, TaskKey

MAX_BAN = timedelta(days=3)
"""The longest ban of the venue (its documentation of limits): a later end is not believed."""


@dataclass(frozen=True, slots=True)
class Ban:
    """Until when a host refuses this address, and whose worker was told so."""

    host: str
    until: datetime
    told_to: TaskKey


class Bans:
    """The bans that stand in the statuses seen; one outlives the task that was told of it."""

    def __init__(self) -> None:
        self._latest: dict[str | None, tuple[datetime, TaskKey]] = {}
        """By ``binance.apiUrl`` as the tasks write it, None for the operator's default."""

    def note(self, task: LoaderTask) -> None:
        """Remember the ban that a status holds."""
        until, url = task.status.banned_until, task.spec.binance.api_url if task.spec else None
        known = self._latest.get(url)
        if until and (known is None or until > known[0]):
            self._latest[url] = (until, task.key)

    def on(self, spec: Spec | None, default_url: str, now: datetime) -> Ban | None:
        """The ban that holds for a task with ``spec`` at ``now``."""
        if spec is None or not self._latest:
            return None
        self._latest = {url: ban for url, ban in self._latest.items() if ban[0] > now}
        host, latest_end = _host(spec.binance.api_url or default_url), now + MAX_BAN
        found = [
            ban
            for url, ban in self._latest.items()
            # A status may be edited by hand.
            if _host(url or default_url) == host and ban[0] <= latest_end
        ]
        if not found:
            return None
        until, told_to = max(found)
        return Ban(host, until, told_to)


def believable(until: datetime | None, now: datetime) -> datetime | None:
    """The end of a ban that was told of at ``now``: rounded up, within the venue's bounds."""
    if until is None or until <= now:
        return None
    return min(until, now + MAX_BAN) + timedelta(seconds=1, microseconds=-1)


def _host(url: str) -> str:
    return (urlsplit(url).hostname or url).lower()
