"""What clients may say on stream connections, and how names, frames, limits and faults are read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from loadertask_contract.intervals import Interval
from loadertask_devstack.venue.errors import VenueError
from loadertask_devstack.venue.streams.faults import StreamFaultPlan, StreamFaultRule
from loadertask_devstack.venue.streams.frames import fragments, frame
from loadertask_devstack.venue.streams.handshake import Asked, asked
from loadertask_devstack.venue.streams.names import StreamKind, is_well_formed, known_stream
from loadertask_devstack.venue.streams.payloads import MICROSECONDS, MILLISECONDS
from loadertask_devstack.venue.streams.protocol import Reply, reply_to
from loadertask_devstack.venue.streams.rules import ConnectLimit, MessageLimit


def reply(message: object, *, combined: bool = False) -> Reply:
    text = message if isinstance(message, str) else json.dumps(message)
    return reply_to(text, subscribed=["btcusdt@trade"], combined=combined, most_streams=3)


@pytest.mark.parametrize("identity", [11, -(2**63), "a1B2", None])
def test_an_answer_carries_the_id_of_its_request(identity: object) -> None:
    message = {"method": "SUBSCRIBE", "params": ["ethusdt@trade"], "id": identity}
    answer = reply(message)
    assert json.loads(answer.text) == {"result": None, "id": identity}
    assert answer.subscribe == ("ethusdt@trade",)


def test_subscriptions_and_properties_can_be_asked_for_and_changed() -> None:
    assert reply({"method": "UNSUBSCRIBE", "params": ["a@b"], "id": 1}).unsubscribe == ("a@b",)
    listed = reply({"method": "LIST_SUBSCRIPTIONS", "id": 3})
    assert listed.text == '{"result":["btcusdt@trade"],"id":3}'
    asked_for = reply({"method": "GET_PROPERTY", "params": ["combined"], "id": 2}, combined=True)
    assert asked_for.text == '{"result":true,"id":2}'
    assert reply({"method": "SET_PROPERTY", "params": ["combined", True], "id": 5}).combined is True


@pytest.mark.parametrize(
    ("message", "code", "text"),
    [
        ("{", 3, "Invalid JSON: expected value at line 1 column 2"),
        ("[]", 3, "Invalid JSON: expected value at line 1 column 1"),
        ({"id": 1}, 2, "Invalid request: missing field `method`"),
        ({"method": "DANCE", "id": 1}, 2, "Invalid request: unknown variant `DANCE`, expected"),
        ({"method": "SUBSCRIBE", "id": 1}, 2, "Invalid request: missing field `params`"),
        ({"method": "SUBSCRIBE", "params": [], "id": 2**63}, 2, "Invalid request: request ID"),
        ({"method": "SUBSCRIBE", "params": [], "id": "!"}, 2, "Invalid request: request ID"),
        (
            {"method": "SUBSCRIBE", "params": ["a@1", "a@2", "a@3"], "id": 1},
            2,
            "Invalid request: more than 3 streams",
        ),
        ({"method": "GET_PROPERTY", "params": ["speed"], "id": 1}, 0, "Unknown property"),
        (
            {"method": "GET_PROPERTY", "params": ["combined", 1], "id": 1},
            2,
            "Invalid request: too many parameters",
        ),
        (
            {"method": "SET_PROPERTY", "params": [1, True], "id": 1},
            2,
            "Invalid request: property name must be a string",
        ),
        (
            {"method": "SET_PROPERTY", "params": ["combined", "yes"], "id": 1},
            1,
            "Invalid value type: expected Boolean",
        ),
    ],
)
def test_a_mistake_is_answered_with_a_nested_error(message: object, code: int, text: str) -> None:
    answer = reply(message)
    error = json.loads(answer.text)["error"]
    assert error["code"] == code
    assert error["msg"].startswith(text)
    assert not answer.closes


def test_a_malformed_stream_name_is_an_error_that_ends_the_connection() -> None:
    answer = reply({"method": "SUBSCRIBE", "params": ["btcusdt"], "id": 3})
    assert answer.closes
    assert json.loads(answer.text) == {
        "error": {"code": 2, "msg": "Invalid request: invalid stream"}, "id": 3,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["btcusdt@kline_1m@+08:00", "!ticker@arr", "x@y", "币@trade"])
def test_names_with_a_kind_or_an_exclamation_mark_are_well_formed(name: str) -> None:
    assert is_well_formed(name)


@pytest.mark.parametrize("name", ["", "btcusdt", "@trade", "a@", "a b@trade", "a@b/c@d"])
def test_other_names_are_malformed(name: str) -> None:
    assert not is_well_formed(name)


@pytest.mark.parametrize(
    ("name", "kind", "fields"),
    [
        ("btcusdt@trade", StreamKind.TRADE, {}),
        ("btcusdt@aggTrade", StreamKind.AGG_TRADE, {}),
        ("btcusdt@bookTicker", StreamKind.BOOK_TICKER, {}),
        ("btcusdt@depth", StreamKind.DEPTH, {"every_ms": 1000}),
        ("btcusdt@depth@100ms", StreamKind.DEPTH, {"every_ms": 100}),
        ("btcusdt@depth20@100ms", StreamKind.PARTIAL_DEPTH, {"levels": 20, "every_ms": 100}),
        ("btcusdt@kline_1M", StreamKind.KLINE, {"interval": Interval.MONTH_1}),
        ("btcusdt@kline_1d@+08:00", StreamKind.KLINE, {"offset_ms": 28_800_000}),
        ("cancelusdt@depth", StreamKind.DEPTH, {}),
    ],
)
def test_streams_that_speak(name: str, kind: StreamKind, fields: dict[str, Any]) -> None:
    stream = known_stream(name)
    assert stream is not None
    assert stream.kind is kind
    assert {field: getattr(stream, field) for field in fields} == fields


@pytest.mark.parametrize(
    "name",
    [
        "BTCUSDT@trade", "nosuch@trade", "btcusdt@nosuch", "btcusdt@kline_7m",
        "btcusdt@kline_1m@+03:00",
        "btcusdt@depth7", "breakusdt@trade", "cancelusdt@kline_1m",
    ],
)  # fmt: skip
def test_streams_that_stay_silent(name: str) -> None:
    assert is_well_formed(name)
    assert known_stream(name) is None


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        ("/ws", "", Asked((), False, MILLISECONDS)),
        ("/ws/a@b/c@d", "", Asked(("a@b", "c@d"), False, MILLISECONDS)),
        ("/ws/btcusdt%40trade", "timeUnit=MICROSECOND",
         Asked(("btcusdt@trade",), False, MICROSECONDS)),
        ("/stream", "streams=a@b/c@kline_1d@+08:00",
         Asked(("a@b", "c@kline_1d@+08:00"), True, MILLISECONDS)),
    ],
)  # fmt: skip
def test_the_address_names_streams_shape_and_unit(path: str, query: str, expected: Asked) -> None:
    assert asked(path, query) == expected


def test_a_bad_time_unit_in_the_address_is_refused() -> None:
    with pytest.raises(VenueError):
        asked("/ws", "timeUnit=HOURS")


@pytest.mark.parametrize(
    ("size", "head"), [(125, b"\x81\x7d"), (126, b"\x81\x7e\x00\x7e"), (65_536, b"\x81\x7f")]
)
def test_the_length_of_a_frame_has_three_spellings(size: int, head: bytes) -> None:
    assert frame(b"x" * size).startswith(head)


def test_fragments_join_to_the_message_and_only_the_last_is_final() -> None:
    parts = fragments(b"abcdefg", 3)
    assert b"".join(part[2:] for part in parts) == b"abcdefg"
    assert [part[0] for part in parts] == [0x01, 0x00, 0x80]


def test_the_sixth_message_within_a_second_is_one_too_many() -> None:
    limit = MessageLimit()
    assert [limit.allows(n / 10, 5) for n in range(6)] == [True] * 5 + [False]
    assert limit.allows(1.35, 5)


def test_attempts_to_connect_are_counted_by_address_and_five_minutes() -> None:
    limit = ConnectLimit()
    assert [limit.allows("a", 299_000, 2) for _ in range(3)] == [True, True, False]
    assert limit.allows("b", 299_000, 2)
    assert limit.allows("a", 300_000, 2)


def test_the_first_rule_that_fires_wins_and_every_rule_counts() -> None:
    plan = StreamFaultPlan()
    assert not plan
    rules = [
        {"match": {"stream": "a@b", "nth": 2}, "fault": {"kind": "drop"}, "times": 1},
        {"match": {"connection": 7}, "fault": {"kind": "duplicate"}},
    ]
    plan.add(StreamFaultRule.model_validate(rule) for rule in rules)
    chosen = [plan.choose("a@b", number) for number in (7, 7, 7, 8)]
    assert [fault and fault.kind.value for fault in chosen] == [
        "duplicate", "drop", "duplicate", None,
    ]  # fmt: skip
    assert [(rule["matched"], rule["fired"]) for rule in plan.described()] == [(4, 1), (3, 3)]
