"""Faults on demand: which request gets which one. Pure and seeded; who applies them is elsewhere.

Rules are switched on through the control interface (control) and tried in their order.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class FaultKind(StrEnum):
    """What can go wrong.

    Instead of the answer: ``status`` (JSON error body), ``html403`` (firewall), ``empty404``,
    ``restricted451``, ``html5xx``, ``empty5xx``, ``backend_timeout`` (-1007 after 10 s).
    To the answer: ``slow`` (delayed), ``truncate`` (connection ends in the body), ``reset`` (TCP
    reset in the body), ``hang`` (no answer until the client leaves).
    """

    STATUS = "status"
    HTML_403 = "html403"
    EMPTY_404 = "empty404"
    RESTRICTED_451 = "restricted451"
    HTML_5XX = "html5xx"
    EMPTY_5XX = "empty5xx"
    BACKEND_TIMEOUT = "backend_timeout"
    SLOW = "slow"
    TRUNCATE = "truncate"
    RESET = "reset"
    HANG = "hang"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Match(_Strict):
    """Which requests: by exact path, by some of their parameters, from the nth on, by chance."""

    path: str | None = None
    params: dict[str, str] = {}
    nth: int = Field(default=1, ge=1)
    probability: float = Field(default=1.0, ge=0, le=1)
    seed: int = 0


class Fault(_Strict):
    """A fault; fields that its kind does not need are ignored.

    ``keep_bytes`` of the body are sent before it breaks off, half of it if not given.
    """

    kind: FaultKind
    status: int | None = Field(default=None, ge=400, le=599)
    code: int = -1000
    msg: str = "An unknown error occurred while processing the request."
    retry_after_s: int | None = Field(default=None, ge=0)
    delay_s: float | None = Field(default=None, ge=0, le=3600)
    keep_bytes: int | None = Field(default=None, ge=0)


class FaultRule(_Strict):
    """A fault for matching requests, at most ``times`` times (without end if not given)."""

    match: Match = Match()
    fault: Fault
    times: int | None = Field(default=None, ge=1)


class FaultPlan:
    """The rules in force and how often each has matched and fired."""

    def __init__(self) -> None:
        self._rules: list[_ArmedRule] = []

    def add(self, rules: Iterable[FaultRule]) -> None:
        """Put more rules behind those in force."""
        self._rules.extend(_ArmedRule(rule) for rule in rules)

    def clear(self) -> None:
        """End all faults."""
        self._rules.clear()

    def choose(self, path: str, params: Mapping[str, str]) -> Fault | None:
        """The fault for this request: that of the first rule that fires. Counts the request."""
        fired = [rule.fires(path, params) for rule in self._rules]
        return next(
            (armed.rule.fault for armed, is_on in zip(self._rules, fired, strict=True) if is_on),
            None,
        )

    def described(self) -> list[dict[str, object]]:
        """The rules with their counters, for the control interface."""
        return [
            armed.rule.model_dump(mode="json", exclude_none=True)
            | {"matched": armed.matched, "fired": armed.fired}
            for armed in self._rules
        ]


class _ArmedRule:
    def __init__(self, rule: FaultRule) -> None:
        self.rule = rule
        self.matched = self.fired = 0
        self._random = random.Random(rule.match.seed)

    def fires(self, path: str, params: Mapping[str, str]) -> bool:
        match = self.rule.match
        if match.path not in (None, path) or not match.params.items() <= params.items():
            return False
        self.matched += 1
        is_spent = self.rule.times is not None and self.fired >= self.rule.times
        if self.matched < match.nth or is_spent or self._random.random() >= match.probability:
            return False
        self.fired += 1
        return True
