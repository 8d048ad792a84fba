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
    ``html200`` (a page of HTML where data belongs).
    To the answer: ``slow`` (delayed), ``truncate`` (connection ends in the body), ``reset`` (TCP
    reset in the body), ``hang`` (no answer until the client leaves).
    To its rows, in a page of REST or in a file of the archive, whose checksum is then right:
    ``rows_missing``, ``rows_doubled``, ``rows_unordered``, ``rows_changed``, ``rows_not_numbers``,
    ``rows_off_grid``, ``rows_wrong_unit``, and in files only ``rows_header``.
    To files of the archive: ``zip_empty``, ``zip_other_file``, ``zip_bomb`` with a right checksum,
    ``zip_cut``, ``zip_corrupt`` and ``wrong_checksum`` without.
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
    HTML_200 = "html200"
    ROWS_MISSING = "rows_missing"
    ROWS_DOUBLED = "rows_doubled"
    ROWS_UNORDERED = "rows_unordered"
    ROWS_CHANGED = "rows_changed"
    ROWS_NOT_NUMBERS = "rows_not_numbers"
    ROWS_OFF_GRID = "rows_off_grid"
    ROWS_WRONG_UNIT = "rows_wrong_unit"
    ROWS_HEADER = "rows_header"
    ZIP_EMPTY = "zip_empty"
    ZIP_OTHER_FILE = "zip_other_file"
    ZIP_BOMB = "zip_bomb"
    ZIP_CUT = "zip_cut"
    ZIP_CORRUPT = "zip_corrupt"
    WRONG_CHECKSUM = "wrong_checksum"


SUM_SUFFIX = ".CHECKSUM"
ROW_FAULTS = frozenset(kind for kind in FaultKind if kind.startswith("rows_"))
# Those that make another file of the archive, with a checksum of its own.
FILE_FAULTS = ROW_FAULTS | {FaultKind.ZIP_EMPTY, FaultKind.ZIP_OTHER_FILE, FaultKind.ZIP_BOMB}
_OF_ZIP_ALONE = frozenset({FaultKind.ZIP_CUT, FaultKind.ZIP_CORRUPT})


class Strict(BaseModel):
    """What a control request says, and nothing beside."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Chance(Strict):
    """From which of the matches on, and how likely then, a fault befalls one."""

    nth: int = Field(default=1, ge=1)
    probability: float = Field(default=1.0, ge=0, le=1)
    seed: int = 0


class Match(Chance):
    """Which requests: by path, by some of their parameters, from the nth on, by chance.

    A path that ends in ``*`` stands for all that begin so. The path of a file of the archive
    stands for its checksum too, where the fault makes another file or another checksum.
    """

    path: str | None = None
    params: dict[str, str] = {}


class Fault(Strict):
    """A fault; fields that its kind does not need are ignored.

    ``keep_bytes`` of the body are sent before it breaks off, half of it if not given; ``rows`` is
    how many rows are missing (half), doubled, moved or changed (one).
    """

    kind: FaultKind
    status: int | None = Field(default=None, ge=400, le=599)
    code: int = -1000
    msg: str = "An unknown error occurred while processing the request."
    retry_after_s: int | None = Field(default=None, ge=0)
    delay_s: float | None = Field(default=None, ge=0, le=3600)
    keep_bytes: int | None = Field(default=None, ge=0)
    rows: int | None = Field(default=None, ge=1)


class FaultRule(Strict):
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
            | {"matched": armed.trigger.matched, "fired": armed.trigger.fired}
            for armed in self._rules
        ]


class Trigger:
    """Counts what matches a rule, and says which of it the fault befalls."""

    def __init__(self, chance: Chance, times: int | None) -> None:
        self._chance, self._times = chance, times
        self.matched = self.fired = 0
        self._random = random.Random(chance.seed)

    def pull(self) -> bool:
        """Count one more that matches; whether the fault befalls it."""
        self.matched += 1
        is_spent = self._times is not None and self.fired >= self._times
        is_early = self.matched < self._chance.nth
        if is_early or is_spent or self._random.random() >= self._chance.probability:
            return False
        self.fired += 1
        return True


class _ArmedRule:
    def __init__(self, rule: FaultRule) -> None:
        self.rule = rule
        self.trigger = Trigger(rule.match, rule.times)

    def fires(self, path: str, params: Mapping[str, str]) -> bool:
        if not self._concerns(path) or not self.rule.match.params.items() <= params.items():
            return False
        return self.trigger.pull()

    def _concerns(self, path: str) -> bool:
        kind, is_sum = self.rule.fault.kind, path.endswith(SUM_SUFFIX)
        if kind in _OF_ZIP_ALONE if is_sum else kind is FaultKind.WRONG_CHECKSUM:
            return False
        paths = {path}
        if kind in FILE_FAULTS or kind is FaultKind.WRONG_CHECKSUM:
            paths.add(path.removesuffix(SUM_SUFFIX))
        wanted = self.rule.match.path
        if wanted is None or not wanted.endswith("*"):
            return wanted is None or wanted in paths
        return path.startswith(wanted[:-1])
