"""Frames of the venue's streams, as updates and records: every digit as it came. Pure.

Two shapes of frame exist: the payload itself on a raw stream, and the payload in an envelope
(`{"stream": …, "data": …}`) on a combined one. Sources: binance-spot-api-docs,
web-socket-streams.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loadertask_contract.records import candle_template, trade_template
from loadertask_worker.binance.cells import DECIMAL, STRICT_JSON, TIMES_MS
from loadertask_worker.binance.levels import check_levels
from loadertask_worker.errors import ProtocolViolatedError, SourceUnavailableError
from loadertask_worker.live.updates import BookUpdate, CandleUpdate, TradeUpdate

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadertask_contract.intervals import Interval

SHUTDOWN = b"serverShutdown"
# The notice is some 50 bytes long in either shape; prices and ids cannot spell it.
_LONGEST_SHUTDOWN_BYTES = 300

_DECIMAL = re.compile(DECIMAL.decode())
_MOST = 10**19
_CLOCKS_PART_MS = 10_000
_DATA_LABEL = re.compile(r'"data"\s*:\s*')
# The venue's names of a kline's values in the order of CANDLE_FIELDS: close before high there.
_KLINE_KEYS = ("t", "o", "h", "l", "c", "v", "T", "q", "n", "V", "Q")
_KLINE_INTEGERS = frozenset("tTn")


@dataclass(frozen=True, slots=True)
class Ignored:
    """A frame that carries no record: what it is, for the log."""

    what: str


Update = CandleUpdate | TradeUpdate | BookUpdate


def is_shutdown_notice(frame: bytes) -> bool:
    """Whether the server says that it is about to close the connection."""
    return len(frame) < _LONGEST_SHUTDOWN_BYTES and SHUTDOWN in frame


class FrameParser:
    """Reads the frames of one symbol; ``interval`` where they are candles.

    ``event`` is the only one that a stream brings, by the venue's name; None: any of them.
    """

    def __init__(
        self, symbol: str, interval: Interval | None = None, *, event: str | None = None
    ) -> None:
        self._symbol = symbol
        self._interval = interval
        self._candle = candle_template(symbol, interval) if interval else ""
        self._trade = trade_template(symbol)
        self._readers: dict[str, Callable[[dict[str, Any], bytes], Update]] = {
            "aggTrade": self._agg_trade,
            "trade": self._raw_trade,
            "depthUpdate": self._depth,
        }
        if interval:
            self._readers["kline"] = self._kline
        if event:
            self._readers = {event: self._readers[event]}

    def parse(self, frame: bytes) -> Update | Ignored:
        """Read one frame.

        Raises:
            SourceUnavailableError: not JSON, or the server's own word that it cannot go on.
            ProtocolViolatedError: JSON that is no frame of this stream.

        """
        event = _json_object(frame)
        payload = frame
        if "stream" in event and isinstance(event.get("data"), dict):
            event, payload = event["data"], _data_of(frame, event["data"])
        name = event.get("e")
        if isinstance(name, str):
            reader = self._readers.get(name)
            return reader(event, payload) if reader else Ignored(name[:40])
        if error := _server_error(event):
            raise SourceUnavailableError(f"the stream answers: {error}")
        return Ignored("an answer" if "result" in event else "a frame without an event")

    def _kline(self, event: dict[str, Any], _: bytes) -> CandleUpdate:
        self._check_symbol(event)
        kline = event.get("k")
        if not isinstance(kline, dict) or kline.get("i") != self._interval:
            raise ProtocolViolatedError(f"a kline frame without the interval {self._interval}")
        if not isinstance(is_closed := kline.get("x"), bool):
            raise ProtocolViolatedError("a kline frame without x")
        values = tuple(
            _integer(kline, key) if key in _KLINE_INTEGERS else _decimal(kline, key)
            for key in _KLINE_KEYS
        )
        event_ms, open_ms = _time_ms(event, "E"), _time_ms(kline, "t")
        if open_ms > event_ms + _CLOCKS_PART_MS:
            # Taken for what it says, it would make repetitions of all candles until then.
            raise ProtocolViolatedError(f"a candle that opens at {open_ms}, told at {event_ms}")
        return CandleUpdate(
            event_ms=event_ms,
            open_ms=open_ms,
            is_closed=is_closed,
            trade_count=kline["n"],
            record=(self._candle % values).encode(),
        )

    def _agg_trade(self, event: dict[str, Any], _: bytes) -> TradeUpdate:
        return self._trade_update(event, "a")

    def _raw_trade(self, event: dict[str, Any], _: bytes) -> TradeUpdate:
        return self._trade_update(event, "t")

    def _trade_update(self, event: dict[str, Any], id_key: str) -> TradeUpdate:
        self._check_symbol(event)
        trade_id, time_ms = _integer(event, id_key), _time_ms(event, "T")
        is_buyer_maker = event.get("m")
        if not isinstance(is_buyer_maker, bool):
            raise ProtocolViolatedError("a trade frame without m")
        values = (
            trade_id,
            _decimal(event, "p"),
            _decimal(event, "q"),
            time_ms,
            "true" if is_buyer_maker else "false",
        )
        record = (self._trade % values).encode()
        return TradeUpdate(_time_ms(event, "E"), trade_id, time_ms, record)

    def _depth(self, event: dict[str, Any], payload: bytes) -> BookUpdate:
        self._check_symbol(event)
        first_id, last_id = _integer(event, "U"), _integer(event, "u")
        if last_id < first_id:
            raise ProtocolViolatedError(f"a depth frame from {first_id} to {last_id}")
        check_levels(event, "b", "a")
        return BookUpdate(_time_ms(event, "E"), first_id, last_id, payload)

    def _check_symbol(self, event: dict[str, Any]) -> None:
        if event.get("s") != self._symbol:
            found = str(event.get("s"))[:40]
            raise ProtocolViolatedError(f"a frame of symbol {found!r}, not {self._symbol}")


def _json_object(frame: bytes) -> dict[str, Any]:
    try:
        found = STRICT_JSON.decode(frame.decode())
    except (ValueError, RecursionError) as error:
        shown = repr(frame[:80].decode("utf-8", "replace"))
        raise SourceUnavailableError(f"a frame is not JSON: {shown}") from error
    if not isinstance(found, dict):
        raise ProtocolViolatedError("a frame is JSON and no object")
    return found


def _data_of(frame: bytes, data: dict[str, Any]) -> bytes:
    """The payload of an envelope, as received: the text that ``data`` was read from."""
    text = frame.decode()
    label = _DATA_LABEL.search(text)
    if label is None:
        raise ProtocolViolatedError("an envelope without data")
    found, end = STRICT_JSON.raw_decode(text, label.end())
    if found != data:
        raise ProtocolViolatedError("an envelope with data in more than one place")
    return text[label.end() : end].encode()


def _server_error(event: dict[str, Any]) -> str | None:
    """An error in either shape: documented flat, seen nested."""
    error = event.get("error", event)
    if isinstance(error, dict) and "code" in error and "msg" in error:
        return f"{error['msg']} (code {error['code']})"[:300]
    return None


def _integer(event: dict[str, Any], key: str) -> int:
    value = event.get(key)
    if type(value) is not int or not 0 <= value < _MOST:
        raise ProtocolViolatedError(f"{key} is {str(value)[:60]!r}, not an integer")
    return value


def _time_ms(event: dict[str, Any], key: str) -> int:
    value = _integer(event, key)
    if value not in TIMES_MS:
        raise ProtocolViolatedError(f"{key} is {value}, not a time in milliseconds")
    return value


def _decimal(event: dict[str, Any], key: str) -> str:
    value = event.get(key)
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
        raise ProtocolViolatedError(f"{key} is {str(value)[:60]!r}, not a plain decimal number")
    return value
