"""Shards of one load: under which name each of them speaks (design contract §3)."""

from __future__ import annotations

MAX_PRODUCER_ID_CHARACTERS = 249
"""What readers of queue-events accept; Kafka's own bound for a name."""


def shard_producer_id(producer_id: str, index: int, count: int) -> str:
    """The producer id of shard ``index`` of ``count``: the load's own where it is not split.

    Raises:
        ValueError: no such shard, or the id leaves no room for the shard's number.

    """
    if not 0 <= index < count:
        raise ValueError(f"shard {index} is not one of {count}")
    if count == 1:
        return producer_id
    shard_id = f"{producer_id}-{index}"
    if len(shard_id) > MAX_PRODUCER_ID_CHARACTERS:
        room = MAX_PRODUCER_ID_CHARACTERS - len(f"-{count - 1}")
        raise ValueError(f"is longer than {room} characters: no room for the number of a shard")
    return shard_id
