"""Where a load goes on: how far the committed records reach. Pure."""

from __future__ import annotations

from dataclasses import dataclass


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

    ``next_position`` is the position to go on at after it, ``time_ms`` its data time (epoch ms).
    """

    next_position: int
    time_ms: int
