"""Values as the venue spells them, in JSON and in CSV: patterns, and words for what is wrong. Pure.

A value is accepted where its text can go into a JSON record as it stands, so that every digit
arrives as it came.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from loadertask_worker.errors import ProtocolViolatedError, SourceUnavailableError

# JSON's number without sign or exponent: the venue sends neither for prices, volumes and times.
# The lengths only bound what a broken answer can make us keep; possessive, since no number can
# end earlier than its digits do.
INTEGER = rb"(?:0|[1-9][0-9]{0,18}+)"
DECIMAL = rb"(?:0|[1-9][0-9]{0,38}+)(?:\.[0-9]{1,38}+)?+"
# In a file of the archive: 13 digits are milliseconds (since 2001), 16 digits microseconds.
MS_DIGITS = 13
MS_TIME = rb"[1-9][0-9]{12}"
TIMES_MS = range(10 ** (MS_DIGITS - 1), 10**MS_DIGITS)
FILE_TIME = rb"[1-9][0-9]{12}(?:[0-9]{3})?+"
_MS_TIME_TEXT = re.compile(MS_TIME.decode())
_INTEGER_TEXT = re.compile(INTEGER.decode())
_DECIMAL_TEXT = re.compile(DECIMAL.decode())


class Number(str):
    """A number of a JSON text, as spelled there."""

    __slots__ = ()


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


STRICT_JSON = json.JSONDecoder(parse_constant=_refuse)
"""For what is published as received: Python alone takes NaN and Infinity for JSON."""


def json_list(body: bytes, of_what: str) -> list[Any]:
    """The list that ``body`` is; its numbers stay text, so that nothing becomes a float.

    Raises:
        SourceUnavailableError: not JSON (cut short, a page of HTML).
        ProtocolViolatedError: JSON, and no list.

    """
    try:
        page = json.loads(body, parse_int=Number, parse_float=Number, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise SourceUnavailableError(f"the answer is not JSON: {excerpt(body)}") from error
    if not isinstance(page, list):
        raise ProtocolViolatedError(f"not a list of {of_what}: {excerpt(body)}")
    return page


def integer_cell(row: int, field: str, value: Any) -> bytes:
    """The text of a JSON integer; raises ProtocolViolatedError for anything else."""
    if isinstance(value, Number) and _INTEGER_TEXT.fullmatch(value):
        return value.encode()
    raise _wrong(row, field, value, "an integer")


def time_cell(row: int, field: str, value: Any) -> bytes:
    """The text of a time in milliseconds; raises ProtocolViolatedError for anything else."""
    if isinstance(value, Number) and _MS_TIME_TEXT.fullmatch(value):
        return value.encode()
    raise _wrong(row, field, value, "a time in milliseconds")


def decimal_cell(row: int, field: str, value: Any) -> bytes:
    """The digits of a decimal in a JSON string; raises ProtocolViolatedError for anything else."""
    is_text = isinstance(value, str) and not isinstance(value, Number)
    if is_text and _DECIMAL_TEXT.fullmatch(value):
        return str(value).encode()
    raise _wrong(row, field, value, "a plain decimal number in a string")


def bool_cell(row: int, field: str, value: Any) -> bytes:
    """``true`` or ``false``; raises ProtocolViolatedError for anything else."""
    if isinstance(value, bool):
        return b"true" if value else b"false"
    raise _wrong(row, field, value, "true or false")


def excerpt(body: bytes) -> str:
    """The beginning of an answer, to be shown."""
    return repr(body[:80].decode("utf-8", "replace"))


def _wrong(row: int, field: str, value: Any, wanted: str) -> ProtocolViolatedError:
    shown = str(value)[:60]
    return ProtocolViolatedError(f"row {row}: {field} is {shown!r}, not {wanted}")
