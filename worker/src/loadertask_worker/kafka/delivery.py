"""The ladder of delivery: the best way that Kafka's rights leave open, and where to go on.

exactly_once      transactions, with the cursor in each of them
effectively_once  acknowledged batches, the cursor behind them; the next attempt reads the rest
at_least_once     acknowledged batches, no cursor: the next attempt begins at the beginning
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from aiokafka.errors import KafkaError

from loadertask_contract.environment import Delivery
from loadertask_contract.parsing import Problem
from loadertask_worker.cursor import Note
from loadertask_worker.errors import ConfigurationError, SinkUnavailableError
from loadertask_worker.kafka.acknowledged import AcknowledgedDelivery
from loadertask_worker.kafka.cursor_group import CursorGroup, Kept
from loadertask_worker.kafka.producer import BatchProducer, MissingRightError
from loadertask_worker.kafka.refusals import meaning, missing_right
from loadertask_worker.kafka.transactions import TransactionalDelivery, commit_note
from loadertask_worker.patience import answer_bound_s

if TYPE_CHECKING:
    from loadertask_worker.kafka.parcels import OnCommitted
    from loadertask_worker.kafka.security import KafkaAccess
    from loadertask_worker.kafka.terms import Terms


@dataclass(frozen=True, slots=True)
class Beginning:
    """What is known before the first record: a note, and the end of what it does not know.

    Where the note is not exact, records of the load may be in [kept.offset, end).
    """

    kept: Kept
    end: int
    warnings: tuple[str, ...] = ()

    @property
    def must_search(self) -> bool:
        """Whether the topic has to be looked into."""
        return not self.kept.note.is_exact and self.kept.offset < self.end


@dataclass(frozen=True, slots=True)
class Way:
    """An open way of delivery."""

    mode: Delivery
    shipper: TransactionalDelivery | AcknowledgedDelivery
    beginning: Beginning | None
    warnings: tuple[str, ...]


async def open_way(
    access: KafkaAccess,
    terms: Terms,
    load_name: str,
    on_committed: OnCommitted,
    known_problem: Problem | None = None,
) -> Way:
    """Open the best way, or the one that is demanded.

    Raises:
        ConfigurationError: ``known_problem``, or the demanded way is closed; all in one.
        SinkError: Kafka does not answer within the patience.

    """
    missing: list[str] = []
    for mode in terms.wanted:
        rung = _Rung(access, terms, load_name, on_committed, mode)
        try:
            way = await rung.opened()
        except MissingRightError as error:
            missing.append(str(error))
            continue
        problems = [known_problem, _unmet(terms, mode, missing)]
        if found := [problem for problem in problems if problem]:
            await way.shipper.close()
            raise ConfigurationError(*found)
        return replace(way, warnings=(*_told(terms, missing), *way.warnings))
    raise ConfigurationError.of("KAFKA_TOPIC", f"grant the {missing[-1]}")


def _unmet(terms: Terms, mode: Delivery, missing: list[str]) -> Problem | None:
    if terms.demanded in (None, mode):
        return None
    wanted = ", ".join(missing)
    return Problem("LOADER_DELIVERY", f"{terms.demanded} is not possible: grant the {wanted}")


def _told(terms: Terms, missing: list[str]) -> tuple[str, ...]:
    names = [str(mode) for mode in terms.wanted]
    return tuple(
        f"not {name}: it needs the {right}" for name, right in zip(names, missing, strict=False)
    )


class _Rung:
    """One try at one mode."""

    def __init__(
        self,
        access: KafkaAccess,
        terms: Terms,
        load_name: str,
        on_committed: OnCommitted,
        mode: Delivery,
    ) -> None:
        self._terms, self._load_name = terms, load_name
        self._on_committed, self._mode = on_committed, mode
        self._is_exact = mode is Delivery.EXACTLY_ONCE
        self._producer = BatchProducer(access, terms, transactional=self._is_exact)
        self._group = CursorGroup(self._producer, terms)

    async def opened(self) -> Way:
        """The way, proved by a commit of what is known already.

        Raises:
            MissingRightError: this way is closed.
            SinkError: Kafka does not answer within the patience.

        """
        try:
            await self._producer.start()
            if self._mode is Delivery.AT_LEAST_ONCE:
                return Way(self._mode, self._acknowledged(None), None, ())
            beginning = await self._beginning()
            await self._prove(beginning.kept)
        except BaseException:
            await self._producer.close()
            raise
        shipper = self._transactional() if self._is_exact else self._acknowledged(self._group)
        return Way(self._mode, shipper, beginning, beginning.warnings)

    async def _beginning(self) -> Beginning:
        """What the group and the topic's bounds tell.

        Only after the producer has started: an open transaction of an earlier life is settled then.
        """
        kept = await self._group.kept()
        own = self._producer.partition
        first, end = await self._group.bounds(kept.partition if kept else own)
        if kept and kept.offset > end:
            what = f"topic {own.topic} was made anew: its end is {end}, the cursor's {kept.offset}"
            return Beginning(self._nothing_known(first, end), end, (what,))
        if kept and not kept.note.is_of(self._load_name):
            what = f"begun anew: the cursor found is of another load, {kept.note.load_name}"
            return Beginning(self._nothing_known(end, end), end, (what,))
        if kept:
            return Beginning(kept, end)
        if self._terms.since_ms is not None and first < end:
            # What is older was published by another load into the same topic.
            found = await self._group.offset_at(own, self._terms.since_ms)
            first = end if found < 0 else found
        elif not self._terms.adopts:
            first = end
        return Beginning(self._nothing_known(first, end), end)

    def _nothing_known(self, offset: int, end: int) -> Kept:
        note = Note(self._load_name, None, is_exact=self._is_exact and offset >= end)
        return Kept(note, self._producer.partition, offset)

    async def _prove(self, kept: Kept) -> None:
        """Commit what is known as the load itself will: no right is found missing later."""
        if not self._is_exact:
            note = replace(kept.note, is_exact=False)
            await self._group.keep(replace(kept, note=note))
            return
        raw = self._producer.raw
        try:
            async with asyncio.timeout(answer_bound_s(self._terms.patience_s)):
                await raw.begin_transaction()
                await commit_note(self._producer, self._terms, kept)
        except TimeoutError as error:
            what = "no transaction can be committed"
            raise SinkUnavailableError(self._terms.patience_s, what) from error
        except (KafkaError, AssertionError) as error:
            cause = self._producer.cause_of(error)
            if right := missing_right(cause, self._terms):
                raise MissingRightError(right) from error
            raise meaning(cause, self._terms, 0) from error

    def _transactional(self) -> TransactionalDelivery:
        return TransactionalDelivery(
            self._producer, self._terms, self._load_name, self._on_committed
        )

    def _acknowledged(self, group: CursorGroup | None) -> AcknowledgedDelivery:
        return AcknowledgedDelivery(
            self._producer, self._terms, self._load_name, self._on_committed, group
        )
