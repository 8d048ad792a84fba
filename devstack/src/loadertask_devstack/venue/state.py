"""Everything one running replay knows: its settings, clock, data, limits, faults and audit."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

from loadertask_contract.intervals import DAY_MS
from loadertask_devstack.venue.audit import Audit
from loadertask_devstack.venue.book import Book
from loadertask_devstack.venue.faults import FaultPlan
from loadertask_devstack.venue.history import History
from loadertask_devstack.venue.last_price import LastPrice
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
from loadertask_devstack.venue.trade_tape import TradeTape


def wall_clock_ms() -> int:
    """Epoch milliseconds of this machine."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class VenueSettings:
    """How to run a replay; ``recordings`` is a folder as in `recordings_in`, None for none.

    REST knows the trades of the last ``retained_days``, all of them if None. A file of the archive
    appears ``archive_delay_h`` hours after the midnight from which it could.
    """

    rules: LimitRules = field(default_factory=LimitRules)
    recordings: Path | None = None
    seed: int = DEFAULT_SEED
    retained_days: int | None = None
    archive_delay_h: float = 5
    compress: bool = True


class VenueClock:
    """The venue's clock: another one plus a skew, both can be changed at run time."""

    def __init__(self, base_ms: Callable[[], int]) -> None:
        self._base_ms = base_ms
        self._skew_ms, self.rate = 0, 1.0
        self._since_ms = 0

    def __call__(self) -> int:
        """Epoch milliseconds."""
        base_ms = self._base_ms()
        if self.rate == 1:
            return base_ms + self._skew_ms
        return self._since_ms + self._skew_ms + int((base_ms - self._since_ms) * self.rate)

    @property
    def skew_ms(self) -> int:
        """How far it is ahead of the other clock now."""
        return self() - self._base_ms()

    def step(
        self, *, skew_ms: int | None = None, now_ms: int | None = None, rate: float = 1
    ) -> None:
        """Set it: so far ahead, or to this time, or neither; it goes on at this rate."""
        base_ms = self._base_ms()
        if now_ms is None:
            now_ms = self() if skew_ms is None else base_ms + skew_ms
        self._since_ms, self._skew_ms, self.rate = base_ms, now_ms - base_ms, rate


class VenueState:
    """The state of one replay; raises DevstackError for recordings that are missing or damaged."""

    def __init__(
        self, settings: VenueSettings, base_clock_ms: Callable[[], int] = wall_clock_ms
    ) -> None:
        self.settings = settings
        self.clock = VenueClock(base_clock_ms)
        self.rest_lag_ms = 0
        self.faults = FaultPlan()
        self.audit = Audit()
        self.recordings: list[Recording] = committed_recordings()
        if settings.recordings is not None:
            self.recordings += recordings_in(settings.recordings)
        self.pages = PageReader(self.history)
        self._ledgers: defaultdict[str, Ledger] = defaultdict(Ledger)
        self._histories: dict[str, History] = {}
        self._tapes: dict[str, TradeTape] = {}
        self.version = 0
        self._cancelled: dict[str, list[int]] = {}
        self.retained_days = settings.retained_days
        self._books: dict[str, Book] = {}
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
        self.version += 1
        self._histories.clear()
        self._tapes.clear()
        self._books.clear()
        self.pages.forget()

    def cancel_aggregates(self, ids: dict[str, list[int]]) -> None:
        """Let these ids of each symbol be cancelled aggregate trades; replaces those before."""
        self.version += 1
        self._cancelled = ids
        self._tapes.clear()

    def oldest_trade_ms(self) -> int:
        """Since when REST knows trades."""
        if self.retained_days is None:
            return 0
        return self.clock() - self.retained_days * DAY_MS

    def tape(self, symbol: Symbol) -> TradeTape:
        """The trades of a symbol, in agreement with its minutes."""
        if symbol.name not in self._tapes:
            self._tapes[symbol.name] = self.new_tape(symbol, self.history(symbol))
        return self._tapes[symbol.name]

    def book(self, symbol: Symbol) -> Book:
        """The order book of a symbol, around the price of its candles."""
        if symbol.name not in self._books:
            self._books[symbol.name] = Book(
                symbol.price * symbol.tick_units,
                symbol.tick_units,
                symbol.step_units,
                LastPrice(self.history(symbol)),
                crc32(f"{self.settings.seed}/{symbol.name}".encode()),
            )
        return self._books[symbol.name]

    def rest_clock(self) -> int:
        """The time up to which REST knows what has happened, epoch milliseconds."""
        return self.clock() - self.rest_lag_ms

    def history(self, symbol: Symbol) -> History:
        """The candles of a symbol."""
        if symbol.name not in self._histories:
            self._histories[symbol.name] = self.new_history(symbol)
        return self._histories[symbol.name]

    def new_history(self, symbol: Symbol) -> History:
        """The same candles again, for another thread."""
        tape = SyntheticTape(symbol, self._outages, seed=self.settings.seed)
        own = [recording for recording in self.recordings if recording.symbol == symbol.name]
        return History(tape, own)

    def new_tape(self, symbol: Symbol, history: History) -> TradeTape:
        """The trades to a history."""
        tape = TradeTape(history, self.settings.seed, self._cancelled.get(symbol.name, ()))
        if counted := self._tapes.get(symbol.name):
            tape.take_counts(counted)
        return tape
