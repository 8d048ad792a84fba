"""WebSocket frames as a server writes them (RFC 6455, section 5), as bytes. Pure.

Own bytes instead of the server library's, for a replay must also write what no library would:
a frame cut in two, fragments, several frames in one segment.
"""

from __future__ import annotations

import struct

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA
_CONTINUATION, _FINAL = 0x0, 0x80
_LARGEST_SHORT, _LARGEST_MIDDLE = 125, 65_535


def frame(payload: bytes, opcode: int = TEXT, *, is_final: bool = True) -> bytes:
    """One unmasked frame."""
    first = opcode | (_FINAL if is_final else 0)
    length = len(payload)
    if length <= _LARGEST_SHORT:
        return struct.pack("!BB", first, length) + payload
    if length <= _LARGEST_MIDDLE:
        return struct.pack("!BBH", first, 126, length) + payload
    return struct.pack("!BBQ", first, 127, length) + payload


def fragments(payload: bytes, count: int) -> list[bytes]:
    """A text message in up to ``count`` frames."""
    size = max(1, -(-len(payload) // count))
    parts = [payload[start : start + size] for start in range(0, len(payload), size)] or [b""]
    return [
        frame(part, TEXT if place == 0 else _CONTINUATION, is_final=place == len(parts) - 1)
        for place, part in enumerate(parts)
    ]


def close_frame(code: int, reason: str) -> bytes:
    """A close frame with its code and reason (at most 123 bytes)."""
    return frame(struct.pack("!H", code) + reason.encode()[:123], CLOSE)
