"""What a client may say on a stream connection and what the venue answers. Pure.

Five methods (binance-spot-api-docs, web-socket-streams.md); errors in the nested shape that is seen
on the wire, not the flat one that is documented. A malformed stream name ends the connection.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from loadertask_devstack.venue.streams.names import is_well_formed

_METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
_TEXT_ID = re.compile(r"[A-Za-z0-9]{1,36}")


@dataclass(frozen=True, slots=True)
class Reply:
    """What to send and what changes; ``closes`` ends the connection after the text."""

    text: str
    subscribe: tuple[str, ...] = ()
    unsubscribe: tuple[str, ...] = ()
    combined: bool | None = None
    closes: bool = False


class _RefusedError(Exception):
    def __init__(self, code: int, message: str, *, closes: bool = False) -> None:
        super().__init__(message)
        self.code, self.message, self.closes = code, message, closes


def reply_to(text: str, *, subscribed: Collection[str], combined: bool, most_streams: int) -> Reply:
    """The answer to one text message of a client."""
    identity: Any = None
    try:
        message = _parsed(text)
        identity = _identity(message)
        return _answered(message, identity, subscribed, combined, most_streams)
    except _RefusedError as refused:
        return Reply(error_text(refused.code, refused.message, identity), closes=refused.closes)


def error_text(code: int, message: str, identity: object = None) -> str:
    """An error in the shape seen on the wire; without ``id`` where the client sent none."""
    body: dict[str, object] = {"error": {"code": code, "msg": message}}
    return _json(body if identity is None else body | {"id": identity})


def refused_name(names: Collection[str]) -> str | None:
    """The error for names of which one is malformed, None if all are names."""
    if all(is_well_formed(name) for name in names):
        return None
    return error_text(2, "Invalid request: invalid stream")


def _answered(
    message: dict[str, Any],
    identity: object,
    subscribed: Collection[str],
    combined: bool,
    most_streams: int,
) -> Reply:
    done = _json({"result": None, "id": identity})
    match message.get("method"):
        case "SUBSCRIBE":
            names = _names(message)
            if len({*subscribed, *names}) > most_streams:
                raise _RefusedError(2, f"Invalid request: more than {most_streams} streams")
            return Reply(done, subscribe=names)
        case "UNSUBSCRIBE":
            return Reply(done, unsubscribe=_names(message))
        case "LIST_SUBSCRIPTIONS":
            return Reply(_json({"result": list(subscribed), "id": identity}))
        case "GET_PROPERTY":
            _property(message, 1)
            return Reply(_json({"result": combined, "id": identity}))
        case "SET_PROPERTY":
            value = _property(message, 2)
            if not isinstance(value, bool):
                raise _RefusedError(1, "Invalid value type: expected Boolean")
            return Reply(done, combined=value)
        case None:
            raise _RefusedError(2, "Invalid request: missing field `method`")
        case other:
            known = ", ".join(f"`{method}`" for method in _METHODS)
            raise _RefusedError(
                2, f"Invalid request: unknown variant `{other}`, expected one of {known}"
            )


def _parsed(text: str) -> dict[str, Any]:
    try:
        message = json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise _RefusedError(3, f"Invalid JSON: expected value at {place}") from None
    if not isinstance(message, dict):
        raise _RefusedError(3, "Invalid JSON: expected value at line 1 column 1")
    return message


def _identity(message: dict[str, Any]) -> object:
    identity = message.get("id")
    is_number = type(identity) is int and -(2**63) <= identity < 2**63
    is_text = isinstance(identity, str) and _TEXT_ID.fullmatch(identity)
    if identity is None or is_number or is_text:
        return identity
    raise _RefusedError(2, "Invalid request: request ID must be an unsigned integer")


def _names(message: dict[str, Any]) -> tuple[str, ...]:
    names = message.get("params")
    if not isinstance(names, list):
        raise _RefusedError(2, "Invalid request: missing field `params`")
    if not all(isinstance(name, str) and is_well_formed(name) for name in names):
        raise _RefusedError(2, "Invalid request: invalid stream", closes=True)
    return tuple(names)


def _property(message: dict[str, Any], count: int) -> object:
    values = message.get("params")
    if not isinstance(values, list) or not values or not isinstance(values[0], str):
        raise _RefusedError(2, "Invalid request: property name must be a string")
    if len(values) > count:
        raise _RefusedError(2, "Invalid request: too many parameters")
    if values[0] != "combined":
        raise _RefusedError(0, "Unknown property")
    return values[1] if len(values) > 1 else None


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
