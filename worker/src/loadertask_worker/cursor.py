"""Where a load goes on: how far the committed records reach. Pure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace

_VERSION = 1
_MAX_NAME_BYTES = 256


@dataclass(frozen=True, slots=True)
class Cursor:
    """What earlier attempts have committed, in the order of the source.

    ``position`` is the first record that is not committed: of candles the open time (epoch ms) to
    begin at, of trades the next trade id, of an order book the next update id. Everything before
    ``through_ms`` (data time, epoch ms) is committed. ``records`` counts the committed records of
    this queue id and shard, over all attempts.
    """

    position: int
    through_ms: int
    records: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record that was found in the topic stands.

    ``position`` is its own, ``next_position`` the one to go on at after it: at the same candle
    while it grows, at the first record owed while there is one. ``time_ms`` is its data time.
    """

    position: int
    next_position: int
    time_ms: int


@dataclass(frozen=True, slots=True)
class Note:
    """What is kept in Kafka beside the records: a cursor, and which load it is of.

    ``cursor`` is None before the first record. ``is_exact`` tells that no record of the load is in
    the topic that the cursor does not count; else those after it have to be looked for. ``attempt``
    grows from one attempt without transactions to the next.
    """

    load_name: str
    cursor: Cursor | None
    is_exact: bool
    attempt: int = 0

    def is_of(self, load_name: str) -> bool:
        """Whether it was left by an attempt at the same load."""
        return self.load_name == _short(load_name)


def encode_note(note: Note) -> str:
    """A note as the metadata of a committed offset, well below Kafka's limit for these."""
    body: dict[str, object] = {
        "version": _VERSION,
        "load": _short(note.load_name),
        "is_exact": note.is_exact,
        "attempt": note.attempt,
    }
    if note.cursor:
        body |= asdict(note.cursor)
    return json.dumps(body, separators=(",", ":"))


def parse_note(text: str) -> Note | None:
    """What ``encode_note`` wrote; None for anything else, which others may have left there."""
    try:
        body = json.loads(text)
        if body["version"] != _VERSION:
            return None
        numbers = [body.get(name) for name in ("position", "through_ms", "records")]
        cursor = None if numbers == [None] * 3 else Cursor(*map(_integer, numbers))
        attempt = _integer(body.get("attempt", 0))
        return Note(str(body["load"]), cursor, body["is_exact"] is True, attempt)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def advanced(cursor: Cursor | None, place: Place | None) -> Cursor | None:
    """The cursor after the next record of the topic; what it has passed already does not count.

    Only a record at the cursor itself leads back: a gap to a book that the venue counts anew.
    """
    if place is None:
        return cursor
    if cursor is None:
        return Cursor(place.next_position, place.time_ms, 1)
    leads_back = place.next_position < cursor.position == place.position
    if leads_back or place.next_position > cursor.position:
        through_ms = max(cursor.through_ms, place.time_ms)
        return Cursor(place.next_position, through_ms, cursor.records + 1)
    is_new = place.position >= cursor.position
    return replace(cursor, records=cursor.records + 1) if is_new else cursor


def _integer(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r} is no integer")
    return value


def _short(load_name: str) -> str:
    """The name itself, or its beginning and a hash of it: a committed offset has little room."""
    encoded = load_name.encode(errors="replace")
    if len(encoded) <= _MAX_NAME_BYTES:
        return encoded.decode()
    digest = hashlib.sha256(encoded).hexdigest()
    return f"{encoded[:_MAX_NAME_BYTES].decode(errors='ignore')}#{digest}"
