"""How the text of one variable becomes a value: the types that the environment is made of."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from loadertask_contract.addresses import parse_http_url, parse_servers, parse_ws_url
from loadertask_contract.topics import parse_queue_id, parse_topic


def matching(pattern: str, rule: str) -> AfterValidator:
    """Text that matches as a whole; ``rule`` says in words what it must be."""
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(f"{text!r} is not {rule}")
        return text

    return AfterValidator(check)


def parsed(parse: Callable[[str], Any]) -> BeforeValidator:
    """What ``parse`` makes of text; a value that is none is taken as it is."""
    return BeforeValidator(lambda value: parse(value) if isinstance(value, str) else value)


def one_of(choices: type[StrEnum]) -> BeforeValidator:
    """A member of an enum, by its value."""

    def parse(text: str) -> StrEnum:
        try:
            return choices(text)
        except ValueError:
            raise ValueError(f"{text!r} is not one of {', '.join(choices)}") from None

    return parsed(parse)


def _flag(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered in {"true", "1", "yes", "on"}:
        return True
    if lowered in {"false", "0", "no", "off"}:
        return False
    raise ValueError(f"{text!r} is neither true nor false")


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is not an RFC 3339 date-time") from None


QueueId = Annotated[str, AfterValidator(parse_queue_id)]
Topic = Annotated[str, AfterValidator(parse_topic)]
Symbol = Annotated[
    str, matching(r"[A-Z0-9]{2,24}", "a symbol of the venue: 2-24 capitals and digits (BTCUSDT)")
]
ProducerId = Annotated[str, matching(r"[!-~]{1,249}", "a producer id: 1-249 printable characters")]
Servers = Annotated[str, AfterValidator(parse_servers)]
HttpUrl = Annotated[str, AfterValidator(parse_http_url)]
WsUrl = Annotated[str, AfterValidator(parse_ws_url)]
Flag = Annotated[bool, parsed(_flag)]
Moment = Annotated[datetime | None, parsed(_moment)]
