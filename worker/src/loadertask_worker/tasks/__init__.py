"""What can be loaded: one module per task type, found by the ``TYPE`` of the environment.

A task knows the order of its source and nothing of delivery: it is given where to go on, and says
of every record where it stands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from loadertask_contract.environment import WorkerEnvironment
from loadertask_contract.task_types import TaskType
from loadertask_worker.errors import ConfigurationError
from loadertask_worker.tasks.api_candles import CandleTask
from loadertask_worker.tasks.api_trades import TradeTask
from loadertask_worker.tasks.ws_candles import LiveCandleTask
from loadertask_worker.tasks.ws_orderbook import OrderBookTask
from loadertask_worker.tasks.ws_trades import LiveTradeTask

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from loadertask_contract.messages import Headers
    from loadertask_worker.cursor import Cursor, Place
    from loadertask_worker.inputs import LoadStarted
    from loadertask_worker.kafka.records import RecordPublisher


class Reporter(Protocol):
    """What a task says while it loads, beside its records."""

    def tell(self, text: str) -> None:
        """Log a sentence for people, and send it as the message of a ``loading`` event."""

    def lacks(self, text: str) -> None:
        """Tell what nobody has of what was asked for; the last event repeats it."""

    def waits(self, why: str, for_s: float) -> None:
        """Have the next reports say ``why`` nothing comes, for up to ``for_s`` seconds from now."""

    def lag(self, lag_ms: int) -> None:
        """Say how far what is published is behind the venue's clock (live)."""


class Task(Protocol):
    """One kind of load."""

    load_name: str
    """What is loaded and in which order: a cursor left by another load is not used."""

    def announce(self, cursor: Cursor | None) -> LoadStarted:
        """What it is going to do, going on at ``cursor``."""

    def place_of(self, value: bytes, headers: Headers) -> Place | None:
        """Where a record of the topic stands; None if it is not of this load."""

    async def load(
        self,
        publisher: RecordPublisher,
        cursor: Cursor | None,
        stop: asyncio.Event,
        reporter: Reporter,
    ) -> bool:
        """Load until done or until ``stop``, everything flushed; whether it was done.

        Begins at ``cursor``, or with the first record where there is none.

        Raises:
            LoadError: it cannot go on.

        """


TASKS: dict[TaskType, Callable[[WorkerEnvironment, int], Task]] = {
    TaskType.API_CANDLES: CandleTask,
    TaskType.API_TRADES: TradeTask,
    TaskType.WS_CANDLES: LiveCandleTask,
    TaskType.WS_ORDERBOOK: OrderBookTask,
    TaskType.WS_TRADES: LiveTradeTask,
}


def task_for(environment: WorkerEnvironment, now_ms: int) -> Task:
    """The task that an environment asks for.

    Raises:
        ConfigurationError: it cannot be done as asked.

    """
    task_type = environment.load_type.task_type
    if task_type.is_live and environment.shard_count > 1:
        message = f"{environment.load_type} follows one stream, which cannot be divided"
        raise ConfigurationError.of("LOADER_SHARD_COUNT", message)
    return TASKS[task_type](environment, now_ms)
