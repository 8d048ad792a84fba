"""What the address of a stream connection asks for. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from loadertask_devstack.venue.parameters import microseconds_asked
from loadertask_devstack.venue.streams.payloads import MICROSECONDS, MILLISECONDS, TimeUnit

RAW_PATH, COMBINED_PATH = "/ws", "/stream"


@dataclass(frozen=True, slots=True)
class Asked:
    """Streams to begin with, whether frames carry their stream's name, the unit of times."""

    names: tuple[str, ...]
    combined: bool
    unit: TimeUnit


def is_stream_path(path: str) -> bool:
    """Whether a path belongs to the streams, not to REST."""
    return path in (RAW_PATH, COMBINED_PATH) or path.startswith(f"{RAW_PATH}/")


def asked(raw_path: str, raw_query: str) -> Asked:
    """What a client asks for; ``+`` stands for itself, for it occurs in names.

    Raises:
        VenueError: -1194, a bad timeUnit.

    """
    values = dict(part.partition("=")[::2] for part in raw_query.split("&") if part)
    combined = raw_path == COMBINED_PATH
    listed = values.get("streams", "") if combined else raw_path.removeprefix(RAW_PATH)
    names = tuple(name for name in unquote(listed).split("/") if name)
    unit = MICROSECONDS if microseconds_asked(values.get("timeUnit")) else MILLISECONDS
    return Asked(tuple(dict.fromkeys(names)), combined, unit)
