"""What goes into the machines of a stream and what comes out of them. Pure values.

Times are epoch milliseconds of the venue.
"""

from __future__ import annotations

from dataclasses import dataclass

from loadertask_contract.messages import Headers

SOURCE_REST: Headers = (("source", b"rest"),)
LATE: Headers = (("late", b"true"),)
CLOSED: Headers = (("is_closed", b"true"),)
OPEN: Headers = (("is_closed", b"false"),)
KIND_SNAPSHOT: Headers = (("kind", b"snapshot"),)
KIND_GAP: Headers = (("kind", b"gap"),)


RESUME = "resume"
"""Header of a record after which a load does not go on with the next one: where it does."""


def resume_header(position: int) -> tuple[str, bytes]:
    """The header that says where a load goes on after this record."""
    return (RESUME, b"%d" % position)


def resume_of(headers: Headers) -> int | None:
    """What ``resume_header`` said; None where it said nothing."""
    for name, value in headers:
        if name == RESUME and value and value.isdigit():
            return int(value)
    return None


@dataclass(frozen=True, slots=True)
class CandleUpdate:
    """One state of a candle; ``is_closed`` with its last. ``trade_count`` only grows."""

    event_ms: int
    open_ms: int
    is_closed: bool
    trade_count: int
    record: bytes


@dataclass(frozen=True, slots=True)
class TradeUpdate:
    """One trade; ids are consecutive."""

    event_ms: int
    trade_id: int
    time_ms: int
    record: bytes


@dataclass(frozen=True, slots=True)
class BookUpdate:
    """The changes ``first_id`` to ``last_id`` of an order book, as received."""

    event_ms: int
    first_id: int
    last_id: int
    record: bytes


@dataclass(frozen=True, slots=True)
class Span:
    """Ids, or open times (ms), from ``start`` to before ``end``."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Release:
    """A record to publish now. ``position`` is where a load goes on to publish it again."""

    record: bytes
    position: int
    time_ms: int
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class HoldBounds:
    """How long, how many and how many bytes of newer records wait for the older ones of a hole.

    The time counts from the last answer that brought the hole nearer to its end. A trade takes
    some 450 bytes of memory while it waits.
    """

    longest_ms: int = 30_000
    most_records: int = 100_000
    most_bytes: int = 16 * 1024 * 1024

    def are_broken(self, waited_ms: int, records: int, size_bytes: int) -> bool:
        """Whether the older ones are to be waited for no longer."""
        return (
            waited_ms > self.longest_ms
            or records > self.most_records
            or size_bytes > self.most_bytes
        )
