"""The life of one attempt as a machine without I/O: (state, input) → (state, events to send).

It decides what is reported, how the attempt ends and with which exit code; the terminal event
comes out exactly once. It knows no clock, no Kafka and no venue.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import Enum, auto
from typing import TYPE_CHECKING

from loadertask_contract.events import Event, EventStatus, Progress, QueueEvent
from loadertask_contract.exit_codes import ExitCode, Recovery, recovery_from
from loadertask_contract.shards import shard_producer_id
from loadertask_worker.errors import BannedError, FencedError, LoadError
from loadertask_worker.inputs import (
    HeartbeatDue,
    Input,
    LagMeasured,
    LoadEnded,
    LoadFailed,
    LoadStarted,
    Pinged,
    RecordsCommitted,
    StopCommanded,
    Terminated,
    Told,
    Waiting,
)

if TYPE_CHECKING:
    from loadertask_contract.environment import WorkerEnvironment

CRASHED = 1
"""Exit code of a bug: none of the contract's, so it counts as a crash and is tried again."""

# At the end of a load: each was told as it was seen.
_GAPS_TOLD = 3
# Readers refuse messages above 64 KiB; people stop reading long before.
_MAX_MESSAGE_CHARACTERS = 4_000


@dataclass(frozen=True, slots=True)
class Identity:
    """Who speaks: the fields that are the same in every event."""

    queue_id: str
    symbol: str
    type: str
    producer: str
    shard: int | None = None

    @classmethod
    def of(cls, environment: WorkerEnvironment) -> Identity:
        """The worker of an environment; the shards of a load have names of their own."""
        index, count = environment.shard_index, environment.shard_count
        return cls(
            queue_id=environment.queue_id,
            symbol=environment.symbol,
            type=str(environment.load_type),
            producer=shard_producer_id(environment.producer_id, index, count),
            shard=index if count > 1 else None,
        )


class Wish(Enum):
    """Why a load should end early; a stop is asked, a termination is suffered."""

    NONE = auto()
    TERMINATE = auto()
    STOP = auto()


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """The state. ``final`` is the last word once there is one, for the termination log."""

    identity: Identity
    started_s: float
    has_started: bool = False
    plan: str = ""
    wish: Wish = Wish.NONE
    records: int = 0
    reported_records: int = 0
    reported_s: float | None = None
    waiting: str = ""
    waiting_until_s: float = 0.0
    progress: Progress = field(default_factory=Progress)
    gaps: tuple[str, ...] = ()
    final: Event | None = None
    exit_code: int | None = None

    @property
    def has_ended(self) -> bool:
        """Whether the attempt is over: nothing is reported after that."""
        return self.exit_code is not None

    @property
    def should_stop(self) -> bool:
        """Whether the load is to commit what is complete and return."""
        return self.wish is not Wish.NONE


Step = tuple[Lifecycle, tuple[Event, ...]]


def advance(state: Lifecycle, given: Input, now_s: float) -> Step:
    """Take one input at ``now_s`` (epoch seconds); an attempt that has ended takes none."""
    if state.has_ended:
        return state, ()
    match given:
        case LoadStarted():
            return _start(state, given, now_s)
        case RecordsCommitted() | LagMeasured() | Waiting():
            return _noted(state, given, now_s), ()
        case Told(text, is_gap):
            if is_gap:
                state = replace(state, gaps=(*state.gaps, text))
            return state, (_event(state, EventStatus.LOADING, text, now_s),)
        case HeartbeatDue() | Pinged():
            return _report(state, now_s)
        case StopCommanded() | Terminated():
            return _wish(state, given), ()
        case LoadEnded(complete):
            return _end(state, now_s, complete=complete)
        case LoadFailed(error):
            return _fail(state, error, now_s)


def _noted(
    state: Lifecycle, given: RecordsCommitted | LagMeasured | Waiting, now_s: float
) -> Lifecycle:
    """What the next report will say."""
    match given:
        case RecordsCommitted(records, loaded_through):
            progress = state.progress.model_copy(update={"loaded_through": loaded_through})
            return replace(state, records=state.records + records, progress=progress)
        case LagMeasured(lag_ms):
            progress = state.progress.model_copy(update={"lag_ms": lag_ms})
            return replace(state, progress=progress)
        case Waiting(why, for_s):
            return replace(state, waiting=why, waiting_until_s=now_s + for_s)


def _wish(state: Lifecycle, given: StopCommanded | Terminated) -> Lifecycle:
    """A stop outweighs a termination, whichever came first."""
    is_stop = isinstance(given, StopCommanded) or state.wish is Wish.STOP
    return replace(state, wish=Wish.STOP if is_stop else Wish.TERMINATE)


def _start(state: Lifecycle, given: LoadStarted, now_s: float) -> Step:
    progress = Progress(
        total=given.total,
        loaded_through=given.loaded_through,
        delivery=given.delivery,
        source=given.source,
        shard=state.identity.shard,
    )
    # The rate is of this attempt alone: what earlier ones committed does not count there.
    state = replace(
        state,
        has_started=True,
        plan=given.plan,
        progress=progress,
        records=state.records + given.records,
        reported_records=state.reported_records + given.records,
        reported_s=now_s,
    )
    sentences = [given.plan, f"delivery {given.delivery}", *given.warnings]
    return state, (_event(state, EventStatus.STARTED, "; ".join(sentences), now_s),)


def _report(state: Lifecycle, now_s: float) -> Step:
    since_s = state.started_s if state.reported_s is None else state.reported_s
    elapsed_s = max(now_s - since_s, 0.001)
    rate = round((state.records - state.reported_records) / elapsed_s)
    progress = state.progress.model_copy(update={"records_per_second": rate})
    state = replace(state, progress=progress, reported_records=state.records, reported_s=now_s)
    message = f"Loaded and published {state.records} records"
    if not state.has_started:
        message = "Looking for where to go on"
    if now_s < state.waiting_until_s:
        until = datetime.fromtimestamp(state.waiting_until_s, UTC)
        message += f"; {state.waiting} until {until:%FT%TZ}"
    return state, (_event(state, EventStatus.LOADING, message, now_s),)


def _missing(state: Lifecycle) -> str:
    """An outage of the venue leaves no candles: a reader must not take that for a loss of ours.

    Where nothing was to be loaded, the plan says why.
    """
    total = state.progress.total
    if total == state.records == 0:
        return f". {state.plan}"
    if total is None:
        told, more = state.gaps[:_GAPS_TOLD], len(state.gaps[_GAPS_TOLD:])
        return "".join(f"; {each}" for each in (*told, *([f"{more} more gaps"] if more else [])))
    if state.records >= total:
        return ""
    return f"; {total} were expected, the venue has no more"


def _end(state: Lifecycle, now_s: float, *, complete: bool) -> Step:
    if complete:
        message = f"Loaded and published {state.records} records{_missing(state)}"
        return _terminal(state, EventStatus.FINISHED, message, ExitCode.DONE, now_s)
    if state.wish is Wish.STOP:
        message = f"Stopped after {state.records} records"
        return _terminal(state, EventStatus.INTERRUPTED, message, ExitCode.DONE, now_s)
    # Nobody asked the task to end, so no terminal event: the next attempt goes on.
    message = f"Asked to terminate after {state.records} records; to be tried again"
    event = _event(state, EventStatus.LOADING, message, now_s, reason="Terminated")
    return replace(state, final=event, exit_code=ExitCode.TRY_AGAIN), (event,)


def _fail(state: Lifecycle, error: Exception, now_s: float) -> Step:
    if not isinstance(error, LoadError):
        message = f"A bug in the loader: {type(error).__name__}: {error}"
        return _terminal(state, EventStatus.ERROR, message, CRASHED, now_s, reason="Crashed")
    if isinstance(error, FencedError):
        # Another worker lives under our name: its events count, and ours would contradict them.
        event = _event(state, EventStatus.LOADING, str(error), now_s, reason=error.reason)
        return replace(state, final=event, exit_code=error.exit_code), ()
    if state.wish is Wish.STOP and recovery_from(error.exit_code) is not Recovery.GIVE_UP:
        # Whoever asked to stop does not want another attempt (design contract §5).
        message = f"Stopped after {state.records} records; {error}"
        return _terminal(
            state, EventStatus.INTERRUPTED, message, ExitCode.DONE, now_s, reason=error.reason
        )
    if isinstance(error, BannedError):
        progress = state.progress.model_copy(update={"banned_until": error.until})
        state = replace(state, progress=progress)
    if state.wish is Wish.TERMINATE and recovery_from(error.exit_code) is not Recovery.GIVE_UP:
        # As without the error: the next attempt goes on, and no terminal event contradicts it.
        message = f"Asked to terminate after {state.records} records; {error}"
        event = _event(state, EventStatus.LOADING, message, now_s, reason=error.reason)
        return replace(state, final=event, exit_code=error.exit_code), (event,)
    return _terminal(
        state, EventStatus.ERROR, str(error), error.exit_code, now_s, reason=error.reason
    )


def _terminal(
    state: Lifecycle,
    status: EventStatus,
    message: str,
    exit_code: int,
    now_s: float,
    *,
    reason: str | None = None,
) -> Step:
    event = _event(state, status, message, now_s, reason=reason)
    return replace(state, final=event, exit_code=exit_code), (event,)


def _event(
    state: Lifecycle, status: EventStatus, message: str, now_s: float, *, reason: str | None = None
) -> Event:
    payload = QueueEvent(
        queue_id=state.identity.queue_id,
        symbol=state.identity.symbol,
        type=state.identity.type,
        status=status,
        # What others wrote may hold lone surrogates, which are no text to Kafka's readers.
        message=message[:_MAX_MESSAGE_CHARACTERS].encode(errors="replace").decode(),
        records_written=state.records,
        finished=status.is_terminal,
        producer=state.identity.producer,
        timestamp=now_s,
    )
    changes = {"done": state.records, "reason": reason}
    return Event(payload, state.progress.model_copy(update=changes))
