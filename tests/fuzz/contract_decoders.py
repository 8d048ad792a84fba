"""Decoders of the contract: what other programs of the platform send, and the environment."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

from tests.fuzz.decoder import Decoder

from loadertask_contract.commands import parse_command
from loadertask_contract.environment import VARIABLES, render_environment
from loadertask_contract.events import Event, encode_event, parse_event
from loadertask_contract.messages import UnreadableMessageError
from loadertask_contract.parsing import EnvironmentProblemsError, parse_environment
from loadertask_contract.records import CANDLE_FIELDS, parse_candle, parse_trade
from loadertask_contract.termination import (
    MAX_TERMINATION_BYTES,
    encode_termination,
    parse_termination,
)

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_EVENT = (
    b'{"queue_id":"wf-a","symbol":"BTCUSDT","type":"api_candles_1m","status":"loading",'
    b'"message":"Loaded","records_written":1000,"finished":false,"producer":"p","timestamp":1.5}'
)
_HEADERS = b"progress-done\x0012\x00loaded-through\x002023-01-01T00:00:00Z\x00lag-ms\x00-3"
_CANDLE = (
    b'{"open_time":1672531200000,"open":16541.77000000,"high":1.5,"low":1,"close":1,"volume":0,'
    b'"close_time":1672531259999,"quote_asset_volume":0.0,"number_of_trades":7,'
    b'"taker_buy_base_asset_volume":0,"taker_buy_quote_asset_volume":0,"symbol":"BTCUSDT",'
    b'"interval":"1m"}'
)
_TRADE = (
    b'{"trade_id":1,"price":1.50,"quantity":2,"timestamp":1672531200000,"is_buyer_maker":true,'
    b'"symbol":"BTCUSDT"}'
)
_ENVIRONMENT = {
    "QUEUE_ID": "wf-a",
    "SYMBOL": "BTCUSDT",
    "TYPE": "api_candles_1m",
    "TIME_RANGE": "2023-01-01:2023-01-02",
    "KAFKA_TOPIC": "wf-a-data",
    "TELEMETRY_PRODUCER_ID": "loader",
}


def check_event(data: bytes) -> None:
    """Payload and headers, divided by bytes that neither holds: what is read can be sent again."""
    value, *texts = data.split(b"\x00\x00")
    parts = b"".join(texts[:1]).split(b"\x00")
    names = [part.decode("utf-8", "replace") for part in parts[::2]]
    try:
        event = parse_event(value, tuple(zip(names, parts[1::2], strict=False)))
    except UnreadableMessageError:
        return
    encoded = encode_event(event)
    assert parse_event(encoded.value, encoded.headers) == _as_text(event)
    assert len(encode_termination(event)) <= MAX_TERMINATION_BYTES


def _as_text(event: Event) -> Event:
    """What is left of an event on the wire: lone surrogates are no text, infinity no number."""
    said = event.payload.model_dump_json().encode()
    progress = event.progress.model_dump(by_alias=True)
    for name in ("delivery", "source", "reason"):
        if progress[name] is not None:
            progress[name] = progress[name].encode(errors="replace").decode()
    return Event(type(event.payload).model_validate_json(said), type(event.progress)(**progress))


def check_command(data: bytes) -> None:
    try:
        command = parse_command(data)
    except UnreadableMessageError:
        return
    assert command.queue_id == json.loads(data)["queue_id"]


def check_termination(data: bytes) -> None:
    try:
        message = parse_termination(data.decode("utf-8", "replace"))
    except UnreadableMessageError:
        return
    assert message.payload.records_written >= 0


def check_environment(data: bytes) -> None:
    """Pairs of a variable's number and its text: what is understood is rendered as understood."""
    variables = {}
    for pair in data.split(b"\x00"):
        if pair:
            variables[VARIABLES[pair[0] % len(VARIABLES)]] = pair[1:].decode(
                "utf-8", "surrogateescape"
            )
    try:
        environment = parse_environment(variables, _NOW).environment
    except EnvironmentProblemsError as error:
        assert error.problems
        return
    secrets = {n: t for n, t in variables.items() if n not in render_environment(environment)}
    again = parse_environment(secrets | render_environment(environment), _NOW).environment
    assert again == environment


def check_candle_record(data: bytes) -> None:
    try:
        candle = parse_candle(data)
    except ValueError:
        return
    said = json.loads(data, parse_float=Decimal)
    assert [getattr(candle, name) for name in CANDLE_FIELDS[1:6]] == [
        Decimal(said[name]) for name in CANDLE_FIELDS[1:6]
    ]


def check_trade_record(data: bytes) -> None:
    try:
        trade = parse_trade(data)
    except ValueError:
        return
    assert trade.price == Decimal(json.loads(data, parse_float=Decimal)["price"])


def _environment_seed(variables: dict[str, str]) -> bytes:
    return b"\x00".join(
        bytes([VARIABLES.index(name)]) + text.encode() for name, text in variables.items()
    )


CONTRACT_DECODERS = (
    Decoder("event", check_event, [_EVENT, _EVENT + b"\x00\x00" + _HEADERS, b"{}"]),
    Decoder("command", check_command, [b'{"command":"stop","queue_id":"*"}', b"[]"]),
    Decoder("termination", check_termination, [_EVENT[:-1] + b',"reason":"Banned"}']),
    Decoder(
        "environment",
        check_environment,
        [
            _environment_seed(_ENVIRONMENT),
            _environment_seed(_ENVIRONMENT | {"TYPE": "ws_trades", "LOADER_SHARD_COUNT": "1"}),
            _environment_seed(_ENVIRONMENT | {"LOADER_CONTROL_SINCE": "2026-01-01T00:00:00+02:00"}),
            _environment_seed(_ENVIRONMENT | {"BINANCE_API_URL": "http://[::1]:80/x"}),
        ],
    ),
    Decoder("candle-record", check_candle_record, [_CANDLE]),
    Decoder("trade-record", check_trade_record, [_TRADE]),
)
