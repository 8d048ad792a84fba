"""Which offsets may be committed: those with nothing unsettled before them. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class _Partition:
    next_offset: int
    unsettled: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an event is settled by; it outlives a restart of its log without touching the new."""

    partition: _Partition
    offset: int


class OffsetLedger:
    """Tracks received events until what they led to is stored.

    An offset is committable when every event before it is settled: a crash then repeats events,
    which is harmless, and never loses one.
    """

    def __init__(self) -> None:
        self._partitions: dict[int, _Partition] = {}

    def receive(self, partition: int, offset: int, claims: int) -> Receipt | None:
        """Note an event that ``claims`` tasks have to settle; None when it was received before."""
        known = self._partitions.setdefault(partition, _Partition(offset))
        if offset < known.next_offset:
            return None
        known.next_offset = offset + 1
        if claims:
            known.unsettled[offset] = claims
        return Receipt(known, offset)

    def settle(self, receipt: Receipt) -> None:
        """One of the claims on an event is settled."""
        unsettled = receipt.partition.unsettled
        left = unsettled.get(receipt.offset, 0) - 1
        if left > 0:
            unsettled[receipt.offset] = left
        else:
            unsettled.pop(receipt.offset, None)

    def restart(self, partition: int) -> None:
        """The log of a partition begins anew: its offsets mean other events than before."""
        self._partitions.pop(partition, None)

    def next_offset(self, partition: int) -> int | None:
        """Where reading goes on, or None when nothing was received yet."""
        known = self._partitions.get(partition)
        return known.next_offset if known else None

    def committable(self) -> dict[int, int]:
        """By partition, the offset to read from after a restart."""
        return {
            number: min(partition.unsettled, default=partition.next_offset)
            for number, partition in self._partitions.items()
        }
