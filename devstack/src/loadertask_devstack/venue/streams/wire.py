"""The bytes of one connection: written at once, held back, or swallowed; and its violent ends.

Writes to the transport past the server library, which cannot cut a frame or fall silent.
"""

from __future__ import annotations

import asyncio

from loadertask_devstack.venue.fault_effects import reset_on_close


class Wire:
    """The sending half of a connection."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._held: list[bytes] | None = None
        self._is_mute = False

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be written any more."""
        return self._transport.is_closing()

    @property
    def is_mute(self) -> bool:
        """Whether it only pretends to be open."""
        return self._is_mute

    @property
    def backlog_bytes(self) -> int:
        """What the client has not taken yet, beside the buffers of the system."""
        return self._transport.get_write_buffer_size()

    def write(self, data: bytes) -> None:
        """Send bytes, unless the connection is closed or half-open."""
        if self._is_mute or self._transport.is_closing():
            return
        if self._held is not None:
            self._held.append(data)
        else:
            self._transport.write(data)

    def hold(self, seconds: float) -> None:
        """Keep all writes back for a while, then send them in one."""
        if self._held is None:
            self._held = []
            asyncio.get_running_loop().call_later(seconds, self._release)

    def mute(self) -> None:
        """Send nothing any more and stay open."""
        self._is_mute = True

    def end(self) -> None:
        """Close after what is written already, without a word of the protocol."""
        self._transport.close()

    def reset(self) -> None:
        """Break off with a TCP reset."""
        if not self._transport.is_closing():
            reset_on_close(self._transport)
            self._transport.abort()

    def _release(self) -> None:
        held, self._held = self._held or [], None
        self.write(b"".join(held))
