"""What all messages of the contract share: an encoded Kafka message, and reading untrusted JSON."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

# Topics are shared: nobody may make a reader parse more than a message of ours can ever be.
MAX_MESSAGE_BYTES = 65_536

Headers = tuple[tuple[str, bytes], ...]


class EncodedMessage(NamedTuple):
    """Key, value and headers of a Kafka message, as bytes."""

    key: bytes
    value: bytes
    headers: Headers = ()


class UnreadableMessageError(ValueError):
    """A message that is not of the contract; ``reason`` is a short word for counters."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


def parse_object(value: bytes | None) -> dict[str, Any]:
    """The JSON object in ``value``.

    Raises:
        UnreadableMessageError: empty, larger than 64 KiB, not UTF-8 JSON, or not an object.

    """
    if not value:
        raise UnreadableMessageError("empty")
    if len(value) > MAX_MESSAGE_BYTES:
        raise UnreadableMessageError("too_large", f"{len(value)} bytes")
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise UnreadableMessageError("not_json", type(error).__name__) from error
    if not isinstance(parsed, dict):
        raise UnreadableMessageError("not_an_object", type(parsed).__name__)
    return parsed
