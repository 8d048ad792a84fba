"""Events, commands, records and the termination message: frozen bytes and tolerant parsers."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadertask_contract.commands import Command, ControlCommand, encode_command, parse_command
from loadertask_contract.events import (
    Event,
    EventStatus,
    Progress,
    QueueEvent,
    encode_event,
    parse_event,
)
from loadertask_contract.intervals import Interval
from loadertask_contract.messages import MAX_MESSAGE_BYTES, EncodedMessage, UnreadableMessageError
from loadertask_contract.records import candle_template, parse_candle, parse_trade, trade_template
from loadertask_contract.termination import (
    MAX_TERMINATION_BYTES,
    encode_termination,
    parse_termination,
)

FROZEN = Path(__file__).parent / "frozen"
THROUGH = datetime(2023, 1, 1, 16, 40, tzinfo=UTC)


def payload(status: EventStatus, message: str, records: int) -> QueueEvent:
    return QueueEvent(
        queue_id="wf-bulk-load-20240801-a1b2c3",
        symbol="BTCUSDT",
        type="api_candles_1m",
        status=status,
        message=message,
        records_written=records,
        finished=status.is_terminal,
        producer="loader-producer__a1b2c3",
        timestamp=1722499200.25,
    )


MESSAGES: dict[str, EncodedMessage] = {
    "started": encode_event(
        Event(
            payload(EventStatus.STARTED, "Loading 1440 candles of BTCUSDT 1m", 0),
            Progress(done=0, total=1440, delivery="at_least_once", source="rest"),
        )
    ),
    "loading": encode_event(
        Event(
            payload(EventStatus.LOADING, "Loaded and published 1000 records", 1000),
            Progress(
                done=1000,
                total=1440,
                loaded_through=THROUGH,
                records_per_second=500,
                lag_ms=-3,
                shard=0,
            ),
        )
    ),
    "interrupted": encode_event(
        Event(payload(EventStatus.INTERRUPTED, "Stopped after 1000 records", 1000), Progress())
    ),
    "error": encode_event(
        Event(
            payload(EventStatus.ERROR, "The venue banned this address", 1000),
            Progress(reason="Banned", banned_until=THROUGH),
        )
    ),
    "finished": encode_event(
        Event(
            payload(EventStatus.FINISHED, "Loaded and published 1440 records", 1440),
            Progress(done=1440, total=1440),
        )
    ),
    "stop": encode_command(ControlCommand(Command.STOP, "wf-bulk-load-20240801-a1b2c3")),
    "ping": encode_command(ControlCommand(Command.PING, "*")),
}


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_the_bytes_of_every_event_and_command_are_frozen(name: str) -> None:
    message = MESSAGES[name]
    headers = b"".join(f"{key}: ".encode() + value + b"\n" for key, value in message.headers)
    written = b"key: " + message.key + b"\n" + headers + b"\n" + message.value + b"\n"
    assert written == (FROZEN / f"{name}.txt").read_bytes()


@pytest.mark.parametrize("status", sorted(EventStatus))
def test_an_event_survives_the_way_there_and_back(status: str) -> None:
    message = MESSAGES[status]
    event = parse_event(message.value, message.headers)
    assert encode_event(event) == message
    assert event.payload.status.is_terminal == event.payload.finished


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "empty"),
        (b"", "empty"),
        (b"\xff\xfe\x00binary", "not_json"),
        (b"{", "not_json"),
        (b"[" * 60_000, "not_json"),
        (b"1" * 60_000, "not_json"),
        (b"[]", "not_an_object"),
        (b'"started"', "not_an_object"),
        (b"{}", "not_an_event"),
        (b'{"status":"dancing"}', "not_an_event"),
        (b'{"status":"loading","records_written":-1}', "not_an_event"),
        (b'{"status":"loading","records_written":"many"}', "not_an_event"),
        (b'{"status":"loading","records_written":' + b"9" * 40 + b"}", "not_an_event"),
        (b'{"status":"loading","queue_id":{"a":1}}', "not_an_event"),
        (b'{"status":"loading","message":"' + b"x" * 1_000_000 + b'"}', "too_large"),
    ],
)
def test_what_is_no_event_is_refused_with_a_countable_reason(
    value: bytes | None, reason: str
) -> None:
    with pytest.raises(UnreadableMessageError) as caught:
        parse_event(value)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    "body",
    [
        {"status": "loading"},
        {"status": "loading", "queue_id": None, "producer": "loader", "surprise": [1, {"a": 2}]},
        {"status": "loading", "timestamp": 12.5, "records_written": None},
        {"event": "progress", "payload": {"status": "loading", "queue_id": "q"}},
        {"status": "loading", "payload": "not an object"},
    ],
)
def test_the_shapes_of_other_programs_are_read(body: dict[str, object]) -> None:
    assert parse_event(json.dumps(body).encode()).payload.status is EventStatus.LOADING


@pytest.mark.parametrize(
    "moment",
    [
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "1969-12-31T23:59:59Z",
        "2026-01-01T00:00:00",
        "2026-01-01",
        "99999999999999",
    ],
)
@pytest.mark.parametrize("name", ["loaded-through", "banned-until"])
def test_a_moment_that_cannot_be_counted_with_is_left_out(name: str, moment: str) -> None:
    headers = ((name, moment.encode()), ("progress-done", b"7"))
    progress = parse_event(b'{"status":"loading"}', headers).progress
    assert progress == Progress(done=7)


def test_a_moment_is_taken_in_utc() -> None:
    headers = (("loaded-through", b"2026-01-01T02:00:00+02:00"),)
    progress = parse_event(b'{"status":"loading"}', headers).progress
    assert progress.loaded_through == datetime(2026, 1, 1, tzinfo=UTC)
    assert progress.loaded_through.tzinfo is UTC


def test_headers_that_do_not_fit_are_left_out_one_by_one() -> None:
    headers = [
        ("progress-done", b"many"),
        ("progress-total", b"1440"),
        ("loaded-through", b"yesterday"),
        ("shard", b"2"),
        ("foreign", b"\xff"),
    ]
    progress = parse_event(b'{"status":"loading"}', headers).progress
    assert progress == Progress(total=1440, shard=2)


@given(st.binary(max_size=300), st.lists(st.tuples(st.text(max_size=20), st.binary(max_size=20))))
def test_no_bytes_can_do_more_than_be_refused(
    value: bytes, headers: list[tuple[str, bytes]]
) -> None:
    for parse in (lambda: parse_event(value, headers), lambda: parse_command(value)):
        try:
            parse()
        except UnreadableMessageError as error:
            assert error.reason


@pytest.mark.parametrize(
    ("sent_to", "is_for_us"), [("q", True), ("*", True), ("all", True), ("Q", False), ("q2", False)]
)
def test_a_command_is_for_its_queue_or_for_everybody(sent_to: str, is_for_us: bool) -> None:
    message = encode_command(ControlCommand(Command.STOP, sent_to))
    assert parse_command(message.value).is_for("q") is is_for_us


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b'{"command":"stop"}', "no_queue_id"),
        (b'{"command":"stop","queue_id":7}', "no_queue_id"),
        (b'{"command":"dance","queue_id":"q"}', "unknown_command"),
        (b'{"command":["stop"],"queue_id":"q"}', "unknown_command"),
        (b"stop", "not_json"),
    ],
)
def test_what_is_no_command_is_refused(value: bytes, reason: str) -> None:
    with pytest.raises(UnreadableMessageError) as caught:
        parse_command(value)
    assert caught.value.reason == reason


def test_a_candle_keeps_every_digit_of_the_venue() -> None:
    row = (
        *(1672531200000, "16541.77000000", "16544.76000000", "16538.45000000", "16543.67000000"),
        *("83.08143000", 1672531259999, "1374268.84884090", 2687, "40.18369000", "664706.38785540"),
    )
    value = (candle_template("BTCUSDT", Interval.MINUTE_1) % row).encode()
    assert b'"open":16541.77000000,' in value
    assert list(json.loads(value)) == [
        *("open_time", "open", "high", "low", "close", "volume", "close_time"),
        *("quote_asset_volume", "number_of_trades", "taker_buy_base_asset_volume"),
        *("taker_buy_quote_asset_volume", "symbol", "interval"),
    ]
    candle = parse_candle(value)
    assert candle.taker_buy_quote_asset_volume == Decimal("664706.38785540")
    assert candle.symbol == "BTCUSDT"


def test_the_termination_message_carries_the_last_event_reason_and_ban() -> None:
    event = Event(
        payload(EventStatus.ERROR, "banned", 7), Progress(reason="Banned", banned_until=THROUGH)
    )
    parsed = parse_termination(encode_termination(event).decode())
    assert parsed.payload == event.payload
    assert (parsed.reason, parsed.banned_until) == ("Banned", THROUGH)


@given(st.text(max_size=3000))
def test_a_termination_message_fits_what_the_kubelet_keeps(message: str) -> None:
    event = Event(payload(EventStatus.ERROR, message, 2**62), Progress(reason="R" * 128))
    encoded = encode_termination(event)
    assert len(encoded) <= MAX_TERMINATION_BYTES
    assert parse_termination(encoded.decode()).payload.records_written == 2**62


@pytest.mark.parametrize(
    "text", ["", "Killed", "{}", '{"status":1}', "x" * (MAX_MESSAGE_BYTES + 1)]
)
def test_what_a_crash_leaves_is_no_termination_message(text: str) -> None:
    with pytest.raises(UnreadableMessageError):
        parse_termination(text)


def test_a_ban_that_cannot_be_counted_with_leaves_the_rest_of_a_termination_message() -> None:
    text = '{"status":"error","reason":"Banned","banned_until":"2026-01-01T00:00:00"}'
    message = parse_termination(text)
    assert (message.reason, message.banned_until) == ("Banned", None)


def test_what_is_no_text_is_replaced_and_ends_nothing() -> None:
    event = Event(
        payload(EventStatus.ERROR, "x", 0).model_copy(update={"message": "bad \ud800 text"}),
        Progress(done=1).model_copy(update={"reason": "\ud800"}),
    )
    message = encode_event(event)
    assert parse_event(message.value, message.headers).payload.message == "bad ? text"
    assert dict(message.headers)["reason"] == b"?"
    terminated = parse_termination(encode_termination(event).decode())
    assert (terminated.payload.message, terminated.reason) == ("bad ? text", "?")


def test_a_trade_keeps_the_digits_of_the_venue() -> None:
    value = (
        trade_template("BTCUSDT") % (7, "101.25000000", "0.40", 1790000000100, "true")
    ).encode()

    assert value == (
        b'{"trade_id":7,"price":101.25000000,"quantity":0.40,"timestamp":1790000000100,'
        b'"is_buyer_maker":true,"symbol":"BTCUSDT"}'
    )
    trade = parse_trade(value)
    assert str(trade.price) == "101.25000000"
    assert trade.is_buyer_maker
