"""Everything one running replay knows: its settings, clock, data, limits, faults and audit."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from loadertask_devstack.venue.audit import Audit
from loadertask_devstack.venue.faults import FaultPlan
from loadertask_devstack.venue.history import History
from loadertask_devstack.venue.limits import Ledger, LimitRules, Verdict, charge
from loadertask_devstack.venue.outages import REAL_OUTAGES, Outage
from loadertask_devstack.venue.pages import PageReader
from loadertask_devstack.venue.recordings import (
    Recording,
    committed_recordings,
    recordings_in,
)
from loadertask_devstack.venue.symbols import Symbol
from loadertask_devstack.venue.synthetic import DEFAULT_SEED, SyntheticTape


def wall_clock_ms() -> int:
    """Epoch milliseconds of this machine."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class VenueSettings:
    """How to run a replay; ``recordings`` is a folder as in `recordings_in`, None for none."""

    rules: LimitRules = field(default_factory=LimitRules)
    recordings: Path | None = None
    seed: int = DEFAULT_SEED
    compress: bool = True


class VenueClock:
    """The venue's clock: another one plus a skew that can be stepped at run time."""

    def __init__(self, base_ms: Callable[[], int]) -> None:
        self._base_ms = base_ms
        self.skew_ms = 0

    def __call__(self) -> int:
        """Epoch milliseconds."""
        return self._base_ms() + self.skew_ms


class VenueState:
    """The state of one replay; raises DevstackError for recordings that are missing or damaged."""

    def __init__(
        self, settings: VenueSettings, base_clock_ms: Callable[[], int] = wall_clock_ms
    ) -> None:
        self.settings = settings
        self.clock = VenueClock(base_clock_ms)
        self.faults = FaultPlan()
        self.audit = Audit()
        self.recordings: list[Recording] = committed_recordings()
        if settings.recordings is not None:
            self.recordings += recordings_in(settings.recordings)
        self.pages = PageReader(self._history)
        self._ledgers: defaultdict[str, Ledger] = defaultdict(Ledger)
        self._histories: dict[str, History] = {}
        self._outages: tuple[Outage, ...] = REAL_OUTAGES

    def charge(self, client: str, weight: int) -> Verdict:
        """Charge a request of a client's address and say what to answer."""
        ledger, verdict = charge(self._ledgers[client], self.settings.rules, self.clock(), weight)
        self._ledgers[client] = ledger
        return verdict

    def forgive(self) -> None:
        """Forget used weights and bans of all addresses."""
        self._ledgers.clear()

    def set_extra_outages(self, extra: Iterable[Outage]) -> None:
        """Outages of the synthetic tape besides the real ones; replaces those set before."""
        self._outages = (*REAL_OUTAGES, *extra)
        self._histories.clear()
        self.pages.forget()

    def _history(self, symbol: Symbol) -> History:
        if symbol.name not in self._histories:
            tape = SyntheticTape(symbol, self._outages, seed=self.settings.seed)
            own = [recording for recording in self.recordings if recording.symbol == symbol.name]
            self._histories[symbol.name] = History(tape, own)
        return self._histories[symbol.name]
