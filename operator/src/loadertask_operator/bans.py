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
_CLOCKS_DIFFER = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Ban:
    """Until when a host refuses this address, and whose worker was told so."""

    host: str
    until: datetime
    told_to: TaskKey


class Bans:
    """The bans that stand in the statuses seen; one outlives the task that was told of it."""

    def __init__(self) -> None:
        self._told: dict[str | None, dict[str, tuple[datetime, TaskKey]]] = {}
        """By ``binance.apiUrl`` as the tasks write it, None for the operator's default, and uid."""
        self._latest: dict[str | None, tuple[datetime, TaskKey]] = {}
        """The last to end of each of them."""

    def note(self, task: LoaderTask) -> None:
        """Remember the ban that a status holds; one that was taken out of it is over."""
        until, url = task.status.banned_until, task.spec.binance.api_url if task.spec else None
        told = self._told.get(url, {})
        known = told.get(task.uid)
        if until == (known[0] if known else None):
            return
        if until is None:
            del told[task.uid]
        else:
            self._told.setdefault(url, told)[task.uid] = (until, task.key)
        self._sum_up(url)

    def on(self, spec: Spec | None, default_url: str, now: datetime) -> Ban | None:
        """The ban that holds for a task with ``spec`` at ``now``."""
        if spec is None or not self._latest:
            return None
        for url in [url for url, (until, _) in self._latest.items() if until <= now]:
            del self._told[url], self._latest[url]
        host, latest_end = _host(spec.binance.api_url or default_url), now + MAX_BAN
        found = [
            ban
            for url, ban in self._latest.items()
            # A status may be edited by hand (see ``is_nonsense``).
            if _host(url or default_url) == host and ban[0] <= latest_end
        ]
        if not found:
            return None
        until, told_to = max(found)
        return Ban(host, until, told_to)

    def _sum_up(self, url: str | None) -> None:
        told = self._told[url]
        if told:
            self._latest[url] = max(told.values())
        else:
            del self._told[url], self._latest[url]


def is_nonsense(until: datetime | None, now: datetime) -> bool:
    """Whether no venue can have told of a ban until then: a status can be edited by hand."""
    return until is not None and until > now + MAX_BAN + _CLOCKS_DIFFER


def believable(until: datetime | None, now: datetime) -> datetime | None:
    """The end of a ban that was told of at ``now``: rounded up, within the venue's bounds."""
    if until is None or until <= now:
        return None
    return min(until, now + MAX_BAN) + timedelta(seconds=1, microseconds=-1)


def _host(url: str) -> str:
    return (urlsplit(url).hostname or url).lower()
