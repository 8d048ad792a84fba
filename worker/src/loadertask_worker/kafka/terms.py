"""What is agreed about the delivery of one load: to where, under which names, how surely. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadertask_contract.environment import Delivery, RecordTime
from loadertask_contract.time_range import epoch_ms

if TYPE_CHECKING:
    from loadertask_contract.environment import WorkerEnvironment


@dataclass(frozen=True, slots=True)
class Pace:
    """How much is gathered before it is sent, and before it is committed.

    ``linger_s`` is how long a slow load keeps a record back, full batch or not; ``idle_linger_s``
    while Kafka has nothing of ours to acknowledge, since a record then waits for nothing but
    company. A transaction ends
    after ``transaction_bytes`` or ``transaction_s``; the first of a life after
    ``first_transaction_s``, each further one lasts twice as long, so that a start shows at once.
    """

    batch_bytes: int
    linger_s: float
    idle_linger_s: float
    transaction_s: float
    first_transaction_s: float = 0.1
    transaction_bytes: int = 64_000_000


# Below the broker's default message.max.bytes of 1 MiB.
HISTORY = Pace(batch_bytes=900_000, linger_s=0.25, idle_linger_s=0.25, transaction_s=5.0)
LIVE = Pace(batch_bytes=256_000, linger_s=0.02, idle_linger_s=0.002, transaction_s=1.0)


@dataclass(frozen=True, slots=True)
class Terms:
    """The delivery of one shard of one load.

    ``wanted`` are the modes to be tried, the best first. ``oldest_ms`` is the data time of the
    oldest record (epoch ms; None: now), ``since_ms`` the time before which no attempt at this load
    can have published anything, where it is known. Where it is not, and no cursor is kept, records
    in the topic that could be the load's own are taken for them if it ``adopts``.
    """

    topic: str
    key: str
    cursor_name: str
    wanted: tuple[Delivery, ...]
    pace: Pace
    patience_s: float
    has_venue_time: bool = False
    oldest_ms: int | None = None
    since_ms: int | None = None
    adopts: bool = True
    demanded: Delivery | None = None

    @property
    def transactional_id(self) -> str:
        """The same in every attempt, so that the newest fences all others."""
        return self.cursor_name

    @property
    def group(self) -> str:
        """The consumer group that keeps the cursor; nobody joins it."""
        return f"loader-{self.cursor_name}"


def terms_of(environment: WorkerEnvironment) -> Terms:
    """The terms that an environment asks for."""
    is_live = environment.load_type.task_type.is_live
    has_venue_time = environment.record_time is RecordTime.VENUE
    time_range, since = environment.time_range, environment.task_since
    return Terms(
        topic=environment.kafka_topic,
        key=environment.symbol,
        cursor_name=f"{environment.queue_id}-{environment.shard_index}",
        wanted=_wanted(environment.delivery, is_live=is_live),
        pace=LIVE if is_live else HISTORY,
        patience_s=environment.patience_s,
        has_venue_time=has_venue_time,
        oldest_ms=time_range.start_ms if time_range and not is_live else None,
        # The timestamps of records tell when they were published only if they are of that time.
        since_ms=epoch_ms(since) if since and not has_venue_time else None,
        # Trades of a history, of whichever kind, look the same; and a stream that has no cursor
        # has published nothing, or nothing for a week.
        adopts=not is_live,
        demanded=environment.delivery,
    )


def _wanted(demanded: Delivery | None, *, is_live: bool) -> tuple[Delivery, ...]:
    """What to try. Below what is demanded nothing is accepted, but it shows what else is missing.

    A live load does without transactions unless they are demanded: its readers would wait for each
    commit (decision 030).
    """
    ladder = (Delivery.EXACTLY_ONCE, Delivery.EFFECTIVELY_ONCE, Delivery.AT_LEAST_ONCE)
    if demanded:
        return ladder[ladder.index(demanded) :]
    return ladder[1:] if is_live else ladder
