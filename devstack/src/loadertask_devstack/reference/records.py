"""The page of data records, out of the contract's models."""

from __future__ import annotations

from loadertask_contract.records import BookGap, Candle, RecordHeaders, Trade
from loadertask_devstack.reference.fields import fields_table
from loadertask_devstack.reference.markdown import code, table

# The venue's own, published as received: they are described here and read nowhere.
_BOOK_CHANGE = {
    "e": ('"depthUpdate"', "What it is."),
    "E": ("1672531200012", "Event time, epoch milliseconds."),
    "s": ('"BTCUSDT"', "Trading pair."),
    "U": ("157", "First change in it; follows the `u` before."),
    "u": ("160", "Last change in it."),
    "b": ('[["0.0024","10"]]', "Bids: price and new amount, 0 removes the price."),
    "a": ('[["0.0026","100"]]', "Asks, likewise."),
}
_BOOK_SNAPSHOT = {
    "lastUpdateId": ("160", "The last change in it: changes after it go on top."),
    "bids": ('[["0.0024","10"]]', "All bids to the venue's depth, best first."),
    "asks": ('[["0.0026","100"]]', "Asks, likewise."),
}
_INTRODUCTION = """\
# Records

One JSON object per message, its key is the symbol: one symbol stays in order in one partition.
Numbers have the digits that the venue sent (`16541.77000000`): who wants them exact reads them as
decimals. The timestamp of a message is the time of its publication, unless
`LOADER_RECORD_TIME=venue`.

## Candle

Of `api_candles`, `ws_candles`.
"""
_BOOK = """\
## Order book

Of `ws_orderbook`: the venue's changes as received, snapshots and markers of gaps, told apart by
the header `kind`.

### Change
"""


def records_page() -> str:
    """The whole page."""
    parts = [
        _INTRODUCTION,
        fields_table(Candle, "Field"),
        "## Trade\n\nOf `api_trades`, `ws_trades`.\n",
        fields_table(Trade, "Field"),
        _BOOK,
        _venue_table(_BOOK_CHANGE),
        "### Snapshot\n",
        _venue_table(_BOOK_SNAPSHOT),
        "### Gap\n",
        fields_table(BookGap, "Field"),
        "## Headers\n\nOf records of live types; historical ones have none.\n",
        fields_table(RecordHeaders, "Header"),
    ]
    return "\n".join(parts)


def _venue_table(fields: dict[str, tuple[str, str]]) -> str:
    rows = ((code(name), code(example), text) for name, (example, text) in fields.items())
    return table(("Field", "Example", "Meaning"), rows)
