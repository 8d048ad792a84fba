"""What is fuzzed: a decoder with its promise, and inputs to begin with."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Decoder:
    """``check`` takes any bytes and fails where the decoder breaks its promise.

    The promise: either one of the documented errors, or a value that says what the bytes say.
    """

    name: str
    check: Callable[[bytes], None]
    seeds: Sequence[bytes]


def strict(text: bytes) -> Any:
    """JSON as its standard has it, with the digits of its numbers; raises ValueError otherwise."""
    return json.loads(text, parse_int=str, parse_float=str, parse_constant=_refuse)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")
