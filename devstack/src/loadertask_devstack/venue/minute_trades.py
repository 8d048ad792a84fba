"""The trades of one minute: invented, but they rebuild its candle exactly. Pure.

Count, open, high, low, close, volume and taker volume always come out; both quote volumes do
for every synthetic minute and nearly every recorded one. Trades of one taker's order (same price,
side and instant) stand together: they are one aggregate trade. All numbers are small and relative
to the minute, so equal minutes of any day and symbol share one result.
"""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import accumulate, chain
from typing import NamedTuple

from loadertask_devstack.venue.candles import UNITS_PER_ONE, Candle

# Open, both extremes and close are trades of their own, each of one step of the amount.
_ANCHORS = 4
_FEWEST_ANCHORED = 6
# Six trades make four orders: two fills, one, two, one; their means are those of the whole side.
_BLOCK_TRADES, _BLOCK_ORDERS = 6, 4
_JITTER = random.Random("when in its slot an order comes").randbytes(256)


class Grain(NamedTuple):
    """The unit of the price and of the amount in which a minute is counted, in units of 1e-8."""

    price: int
    amount: int


class MinuteTrades(NamedTuple):
    """Columns in the order of trading: times from the open time, prices from the open price.

    ``firsts`` holds where each order begins, and the number of trades at its end.
    """

    times_ms: Sequence[int]
    prices: Sequence[int]
    amounts: Sequence[int]
    sells: bytes
    firsts: Sequence[int]


class RelativeMinute(NamedTuple):
    """A candle relative to its open, in steps of its grain; amounts and quotes by side."""

    span_ms: int
    trades: int
    high: int
    low: int
    close: int
    bought: int
    sold: int
    bought_quote: int
    sold_quote: int


class _Order(NamedTuple):
    price: int
    amounts: tuple[int, ...]
    is_sell: bool


def minute_trades(minute: Candle, grain: Grain) -> MinuteTrades:
    """The trades of a minute (or of what an outage left of it), counted in ``grain``."""
    return trades_of(relative(minute, grain))


def relative(minute: Candle, grain: Grain) -> RelativeMinute:
    """What decides the trades of a minute."""
    price, step = grain
    opened, scale = minute.open, price * step
    taker, made = minute.taker_volume, minute.volume - minute.taker_volume
    made_quote = minute.quote_volume - minute.taker_quote_volume
    return RelativeMinute(
        max(minute.close_time_ms - minute.open_time_ms + 1, 1),
        minute.trade_count,
        (minute.high - opened) // price,
        (minute.low - opened) // price,
        (minute.close - opened) // price,
        taker // step,
        made // step,
        (minute.taker_quote_volume * UNITS_PER_ONE - opened * taker) // scale,
        (made_quote * UNITS_PER_ONE - opened * made) // scale,
    )


@lru_cache(maxsize=4096)
def trades_of(minute: RelativeMinute) -> MinuteTrades:
    """The trades of all minutes that are alike."""
    orders = _anchored(minute) if minute.trades >= _FEWEST_ANCHORED else _few(minute)
    fills = [len(order.amounts) for order in orders]
    times = _times(len(orders), minute.span_ms, minute.sold & 255)
    return MinuteTrades(
        _array(time for time, n in zip(times, fills, strict=True) for _ in range(n)),
        _array(order.price for order in orders for _ in order.amounts),
        array("q", chain.from_iterable(order.amounts for order in orders)),
        bytes(order.is_sell for order in orders for _ in order.amounts),
        _array(accumulate(fills, initial=0)),
    )


def fitting(minute: Candle, grain: Grain) -> Grain:
    """A grain, no coarser than the given one, in which this candle can be counted."""
    price, amount = grain
    while any((units - minute.open) % price for units in minute[2:5]):
        price //= 10
    # One price step of one amount step is then a whole quote: 1e-8.
    amount = min(amount, UNITS_PER_ONE // price)
    while amount > 1 and not _is_countable(minute, amount):
        amount //= 10
    return Grain(price, amount)


def order_count(minute: RelativeMinute) -> int:
    """How many orders (aggregate trades) a minute has."""
    if minute.trades < _FEWEST_ANCHORED:
        return minute.trades
    taken = _anchors_taken(minute)
    buys, sells = _rest_by_side(minute, taken)
    return _ANCHORS + _side_orders(buys) + _side_orders(sells)


def anchors_above_middle(opened: int, high: int, low: int, close: int) -> list[int]:
    """Those of the four prices at which takers buy; at the others they sell."""
    return [price for price in (opened, high, low, close) if 2 * price > high + low]


def _is_countable(minute: Candle, step: int) -> bool:
    is_whole = minute.volume % step == minute.taker_volume % step == 0
    return is_whole and minute.volume // step >= minute.trade_count


def _array(numbers: Iterator[int]) -> Sequence[int]:
    return array("i", numbers)


def _times(orders: int, span_ms: int, shift: int) -> Iterator[int]:
    """Ascending instants in the minute; every fifth order comes in the same ms as another."""
    jitter = _JITTER[shift:] + _JITTER[:shift]
    for index in range(orders):
        slot = index - (index % 5 == 3)
        yield (slot * 256 + jitter[slot & 255]) * span_ms // (orders * 256)


def _few(minute: RelativeMinute) -> list[_Order]:
    """A minute of so few trades that each has a price it must have."""
    path = _extremes(minute)
    if minute.trades == 3:
        path = [price for price in path if price not in (0, minute.close)][:1] or [0]
    middle = [*path, minute.close][: max(minute.trades - 2, 0)]
    prices = [0, *middle, minute.close][: minute.trades]
    buys, sells = _counts_by_side(minute.trades, minute.bought, minute.sold)
    amounts = [*_shares(minute.bought, buys), *_shares(minute.sold, sells)]
    return [
        _Order(price, (amount,), index >= buys)
        for index, (price, amount) in enumerate(zip(prices, amounts, strict=True))
    ]


def _anchored(minute: RelativeMinute) -> list[_Order]:
    taken = _anchors_taken(minute)
    buys, sells = _rest_by_side(minute, taken)
    anchors = [0, *_extremes(minute), minute.close]
    bought = sorted(range(_ANCHORS), key=anchors.__getitem__, reverse=True)[:taken]
    bought_quote = minute.bought_quote - sum(anchors[index] for index in bought)
    sold_quote = minute.sold_quote - sum(anchors) + minute.bought_quote - bought_quote
    middle = _merged(
        list(_side(minute, buys, minute.bought - taken, bought_quote, is_sell=False)),
        list(_side(minute, sells, minute.sold - _ANCHORS + taken, sold_quote, is_sell=True)),
    )
    opening, first, second, closing = (
        _Order(price, (1,), index not in bought) for index, price in enumerate(anchors)
    )
    quarter = len(middle) // 4
    end = len(middle) - quarter
    head, body, tail = middle[:quarter], middle[quarter:end], middle[end:]
    return [opening, *head, first, *body, second, *tail, closing]


def _anchors_taken(minute: RelativeMinute) -> int:
    """How many of the four anchors are bought."""
    wanted = len(anchors_above_middle(0, minute.high, minute.low, minute.close))
    return min(max(wanted, _ANCHORS - minute.sold), minute.bought)


def _rest_by_side(minute: RelativeMinute, taken: int) -> tuple[int, int]:
    sold = minute.sold - _ANCHORS + taken
    return _counts_by_side(minute.trades - _ANCHORS, minute.bought - taken, sold)


def _extremes(minute: RelativeMinute) -> list[int]:
    path = [minute.low, minute.high]
    return path if minute.close >= 0 else path[::-1]


def _counts_by_side(count: int, bought: int, sold: int) -> tuple[int, int]:
    """How many of the trades are buys and sales: each side that has an amount has a trade."""
    if not bought or not sold or count < 2:
        return (count, 0) if bought > sold else (0, count)
    # Two on each side where it can be: one alone cannot have a mean between two prices.
    least = 2 if count >= 4 and min(bought, sold) >= 2 else 1
    buys = count * bought // (bought + sold)
    buys = min(max(buys, least, count - sold), bought, count - least)
    return buys, count - buys


def _blocks(count: int) -> int:
    """The blocks of one side: at least two trades (where there are two) stay outside."""
    return max(count - 2, 0) // _BLOCK_TRADES


def _side_orders(count: int) -> int:
    return count - (_BLOCK_TRADES - _BLOCK_ORDERS) * _blocks(count)


def _side(
    minute: RelativeMinute, count: int, amount: int, quote: int, *, is_sell: bool
) -> Iterator[_Order]:
    """One side's orders: around one price, and one trade beside it that makes the quote exact."""
    if not count:
        return
    price, beside, lone = _mean_price(amount, quote)
    rest = count - bool(lone)
    is_possible = rest > 0 and amount - lone >= rest
    if not is_possible or not minute.low <= min(price, beside) <= max(price, beside) <= minute.high:
        price, lone, rest = min(max(price, minute.low), minute.high), 0, count
    share = (amount - lone) // rest
    spread = min(price - minute.low, minute.high - price) + 1
    blocks = _blocks(count)
    for block in range(blocks):
        off, less, near = (block * 7 + 3) % spread, (block * 11 + 5) % share, (block * 5) % spread
        pair = (share + less, share - less)
        yield _Order(price + off, pair, is_sell)
        yield _Order(price - near, (share,), is_sell)
        yield _Order(price - off, pair, is_sell)
        yield _Order(price + near, (share,), is_sell)
    singles = rest - _BLOCK_TRADES * blocks
    if lone:
        yield _Order(beside, (lone,), is_sell)
    for _ in range(singles - 1):
        yield _Order(price, (share,), is_sell)
    yield _Order(price, (amount - lone - share * (rest - 1),), is_sell)


def _mean_price(amount: int, quote: int) -> tuple[int, int, int]:
    """The price next to the mean, its neighbour, and the amount that must trade there."""
    price, rest = divmod(quote, amount)
    if rest == 0:
        return price, price, 0
    return (price, price + 1, rest) if 2 * rest <= amount else (price + 1, price, amount - rest)


def _shares(total: int, count: int) -> list[int]:
    return [total * (n + 1) // count - total * n // count for n in range(count)]


def _merged(buys: list[_Order], sells: list[_Order]) -> list[_Order]:
    """Both sides evenly mixed."""
    total, bought = len(buys) + len(sells), len(buys)
    buy, sell = iter(buys), iter(sells)
    return [
        next(buy) if (n + 1) * bought // total > n * bought // total else next(sell)
        for n in range(total)
    ]
