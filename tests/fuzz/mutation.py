"""Changes of an input by whole words, which bytes alone would hardly ever hit upon."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

_WORD = re.compile(rb'"(?:[^"\\]|\\.)*"|[0-9.eE+-]+|[A-Za-z_]+|.', re.DOTALL)
_ODD = (
    b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-0", b"-1", b"0", b"00", b"1.", b"1e5", b"0.0",
    b"9" * 20, b"9" * 5000, b"null", b"true", b"false", b"{}", b"[]", b'""', b'"\\ud800"',
    b'"\\u0000"', b"\xff", b"\xef\xbb\xbf", b"\r\n", b"\n", b"\x00", b",", b":", b"[" * 2000,
    b'"data":{}',
)  # fmt: skip
_MOST_CHANGES = 4

Mutate = Callable[[bytes, int], bytes]


def word_mutator(seeds: Sequence[bytes], by_bytes: Mutate) -> Callable[[bytes, int, int], bytes]:
    """A mutator for libFuzzer; every other time it leaves the bytes to ``by_bytes``."""
    known = sorted({word for seed in seeds for word in _WORD.findall(seed)} | set(_ODD))

    def mutate(data: bytes, most_bytes: int, seed: int) -> bytes:
        chance = random.Random(seed)
        if chance.random() < 0.5:
            return by_bytes(data, most_bytes)
        words = _WORD.findall(data) or [b""]
        for _ in range(chance.randint(1, _MOST_CHANGES)):
            _change(words, known, chance)
        return b"".join(words)[:most_bytes]

    return mutate


def _change(words: list[bytes], known: Sequence[bytes], chance: random.Random) -> None:
    index = chance.randrange(len(words))
    end = min(len(words), index + chance.randint(1, 12))
    match chance.randrange(5):
        case 0:
            words[index] = chance.choice(known)
        case 1:
            words.insert(index, chance.choice(known))
        case 2 if end - index < len(words):
            del words[index:end]
        case 3:
            words[index:index] = words[index:end]
        case _:
            other = chance.randrange(len(words))
            words[index], words[other] = words[other], words[index]
