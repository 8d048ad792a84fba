"""queue-events: what a worker reports (design contract §3).

The payload is the platform's and stays as given; what is ours travels in headers of the same
message, each optional.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from loadertask_contract.messages import (
    EncodedMessage,
    Headers,
    UnreadableMessageError,
    parse_object,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


_FIRST_YEAR = 1970
_LAST_YEAR = 2200


class EventStatus(StrEnum):
    """Where a worker is in its life."""

    STARTED = "started"
    LOADING = "loading"
    INTERRUPTED = "interrupted"
    ERROR = "error"
    FINISHED = "finished"

    @property
    def is_terminal(self) -> bool:
        """Whether it is the last word of an attempt."""
        return self in (EventStatus.INTERRUPTED, EventStatus.ERROR, EventStatus.FINISHED)


def _count(value: Any) -> Any:
    """Other programs omit the count or send null: nothing is known, so nothing is claimed."""
    return 0 if value is None else value


def _finite(seconds: float | None) -> float | None:
    """Infinity is no JSON, and no time: nothing is known."""
    return seconds if seconds is not None and math.isfinite(seconds) else None


def _sane(moment: datetime) -> datetime:
    """In UTC; without a zone, or far from any market's time, no arithmetic could be trusted."""
    if moment.tzinfo is None:
        raise ValueError("has no time zone")
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise ValueError(f"is not between the years {_FIRST_YEAR} and {_LAST_YEAR}")
    return moment.astimezone(UTC)


Moment = Annotated[datetime, AfterValidator(_sane)]


class QueueEvent(BaseModel):
    """The payload of an event.

    ``timestamp`` is the sender's clock in float seconds and orders nothing: order is
    (partition, offset), since one known loader sends an event-loop clock.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    queue_id: str | None = Field(
        default=None,
        max_length=249,
        description="Identity of the workflow; also the key of the message.",
        examples=["wf-bulk-load-20240801-a1b2c3"],
    )
    symbol: str = Field(
        default="", max_length=64, description="Trading pair.", examples=["BTCUSDT"]
    )
    type: str = Field(
        default="",
        max_length=64,
        description="`TYPE` of the task; `ws_depth` is `ws_orderbook` here.",
        examples=["api_candles_1m"],
    )
    status: EventStatus = Field(
        description="Where the worker is in its life; one that finished, was interrupted or met an"
        " error says so once, last.",
        examples=["loading"],
    )
    message: str = Field(
        default="", description="For people.", examples=["Loaded and published 15000 records"]
    )
    records_written: Annotated[int, BeforeValidator(_count)] = Field(
        default=0,
        ge=0,
        lt=2**63,
        description="Records committed in Kafka, of this queue id (and shard), over all attempts.",
        examples=[15000],
    )
    finished: bool = Field(
        default=False, description="Whether the status is a terminal one.", examples=[False]
    )
    producer: str = Field(
        default="",
        max_length=249,
        description="Who says it: `TELEMETRY_PRODUCER_ID`, of a shard with `-` and its index.",
        examples=["loader-producer__a1b2c3"],
    )
    timestamp: Annotated[float | None, AfterValidator(_finite)] = Field(
        default=None,
        description="The sender's clock, seconds since 1970. It orders nothing.",
        examples=[1722499200.25],
    )


class Progress(BaseModel):
    """What the headers of an event say; every field is optional, in the units of its name."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    done: int | None = Field(
        default=None,
        ge=0,
        lt=2**63,
        alias="progress-done",
        description="Records committed, as `records_written`.",
        examples=["15000"],
    )
    total: int | None = Field(
        default=None,
        ge=0,
        lt=2**63,
        alias="progress-total",
        description="Records expected at most; absent where nobody can know (live).",
        examples=["44640"],
    )
    loaded_through: Moment | None = Field(
        default=None,
        alias="loaded-through",
        description="Data time before which everything is committed.",
        examples=["2023-01-11T10:00:00Z"],
    )
    records_per_second: int | None = Field(
        default=None,
        ge=0,
        alias="records-per-second",
        description="Records committed per second since the event before.",
        examples=["52000"],
    )
    lag_ms: int | None = Field(
        default=None,
        alias="lag-ms",
        description="Live: how far the last record is behind the venue's clock, in milliseconds.",
        examples=["42"],
    )
    delivery: str | None = Field(
        default=None,
        max_length=64,
        description="What the load promises: `exactly_once`, `effectively_once` or"
        " `at_least_once`.",
        examples=["exactly_once"],
    )
    source: str | None = Field(
        default=None,
        max_length=64,
        description="Where the records come from.",
        examples=["archive, rest"],
    )
    banned_until: Moment | None = Field(
        default=None,
        alias="banned-until",
        description="Of an `error` with reason `Banned`: when the venue listens again.",
        examples=["2026-01-01T00:02:00Z"],
    )
    reason: str | None = Field(
        default=None,
        max_length=128,
        description="Of an `error`, and of the last words of a worker that asks to be tried again:"
        " one word of the [errors](exit-codes.md), or `Terminated` or `Crashed`.",
        examples=["RefusedByVenue"],
    )
    shard: int | None = Field(
        default=None, ge=0, description="Which shard speaks, from 0.", examples=["2"]
    )


@dataclass(frozen=True, slots=True)
class Event:
    """A whole event: payload and headers."""

    payload: QueueEvent
    progress: Progress


def encode_event(event: Event) -> EncodedMessage:
    """The bytes of an event; its key is the queue id, so that a queue keeps its order."""
    payload = event.payload.model_dump(mode="json")
    values = event.progress.model_dump(by_alias=True, exclude_none=True)
    headers = tuple((name, _header_bytes(value)) for name, value in values.items())
    return EncodedMessage((event.payload.queue_id or "").encode(), _json(payload), headers)


def parse_event(value: bytes | None, headers: Iterable[tuple[str, bytes]] = ()) -> Event:
    """Parse a message of queue-events, tolerantly: unknown fields and bad headers are ignored.

    Raises:
        UnreadableMessageError: not JSON, or not an event of any known shape.

    """
    body = parse_object(value)
    # A third shape in the platform's documents nests the fields.
    nested = body.get("payload")
    if isinstance(nested, dict):
        body = {**body, **nested}
    try:
        payload = QueueEvent.model_validate(body)
    except ValidationError as error:
        fields = ", ".join(sorted({str(e["loc"][0]) for e in error.errors() if e["loc"]}))
        raise UnreadableMessageError("not_an_event", f"fields: {fields}") from error
    return Event(payload, _parse_headers(tuple(headers)))


def _parse_headers(headers: Headers) -> Progress:
    known = {field.alias or name for name, field in Progress.model_fields.items()}
    return fitting_progress(
        {
            name: value.decode("utf-8", "replace")
            for name, value in headers
            if name in known and value is not None
        }
    )


def fitting_progress(said: Mapping[str, Any]) -> Progress:
    """What fits of ``said``, by header name; the payload counts without the rest."""
    left = dict(said)
    while True:
        try:
            return Progress.model_validate(left)
        except ValidationError as error:
            for problem in error.errors():
                left.pop(str(problem["loc"][0]), None)


def _header_bytes(value: object) -> bytes:
    text = value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else str(value)
    return text.encode(errors="replace")


def _json(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
