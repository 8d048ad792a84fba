"""Shapes of a synthetic day: 1440 minutes in small integers, and their exact sums per interval.

Everything in a shape is linear (price = base + amplitude x offset, amounts = scale x amount), so
a candle of any interval inside a day costs the same as a minute. Knows no symbol and no date.
"""

from __future__ import annotations

import random
from functools import cache, lru_cache
from itertools import groupby
from typing import NamedTuple

from loadertask_contract.intervals import MINUTE_MS, Interval, open_at_or_before
from loadertask_devstack.venue.minute_trades import anchors_above_middle

MINUTES_PER_DAY = 1440
SHAPES_PER_DIRECTION = 6


class Piece(NamedTuple):
    """A part of a day: prices are offsets from its base, amounts are in unscaled steps.

    ``typical`` is the price offset times the amount, summed: with the base it gives the quote.
    """

    minute: int
    open: int
    high: int
    low: int
    close: int
    amount: int
    typical: int
    trades: int
    taker_amount: int
    taker_typical: int


class DayColumns(NamedTuple):
    """The same field of all pieces side by side, one tuple per field of `Piece`."""

    minutes: tuple[int, ...]
    opens: tuple[int, ...]
    highs: tuple[int, ...]
    lows: tuple[int, ...]
    closes: tuple[int, ...]
    amounts: tuple[int, ...]
    typicals: tuple[int, ...]
    trades: tuple[int, ...]
    taker_amounts: tuple[int, ...]
    taker_typicals: tuple[int, ...]


class DayShape(NamedTuple):
    """Which shape a day has: a direction (1 up, -1 down, 0 all minutes alike) and a variant.

    Where all minutes are alike the variant is the number of trades in each: 0 for none at all.
    """

    direction: int
    variant: int
    quiet_percent: int


@lru_cache(maxsize=256)
def day_columns(shape: DayShape, interval: Interval, seed: int) -> DayColumns:
    """The pieces of ``interval`` (a minute to a day) of a day, ascending, by column."""
    minutes = _minutes(shape, seed)
    groups = groupby(minutes, lambda piece: open_at_or_before(interval, piece.minute * MINUTE_MS))
    pieces = minutes
    if interval is not Interval.MINUTE_1:
        pieces = tuple(_joined(tuple(group)) for _, group in groups)
    return DayColumns(*zip(*pieces, strict=True))


@cache
def day_end(shape: DayShape, seed: int) -> int:
    """The price offset at the end of the day, where the next day's base lies."""
    return _minutes(shape, seed)[-1].close


@lru_cache(maxsize=32)
def _minutes(shape: DayShape, seed: int) -> tuple[Piece, ...]:
    if shape.direction == 0:
        return tuple(_like_all(minute, shape.variant) for minute in range(MINUTES_PER_DAY))
    rng = random.Random(f"{seed}/{shape}")
    target = shape.direction * rng.randint(50, 900)
    price, minutes = 0, []
    for minute in range(MINUTES_PER_DAY):
        is_quiet = rng.randrange(100) < shape.quiet_percent and minute > 0
        piece = _quiet_minute(minute, price) if is_quiet else _minute(rng, minute, price, target)
        minutes.append(piece)
        price = piece.close
    return tuple(minutes)


def _quiet_minute(minute: int, price: int) -> Piece:
    return Piece(minute, price, price, price, price, 0, 0, 0, 0, 0)


def _like_all(minute: int, trades: int) -> Piece:
    if not trades:
        return _quiet_minute(minute, 0)
    return Piece(minute, 0, 6, -6, 0, 40 * trades, 0, trades, 17 * trades, 6)


def _minute(rng: random.Random, minute: int, price: int, target: int) -> Piece:
    # Pulled towards the straight line to the target, so that a day cannot run away.
    pull = (target * minute // MINUTES_PER_DAY - price) // 20
    close = price + pull + rng.randint(-12, 12)
    high = max(price, close) + rng.randint(0, 6)
    low = min(price, close) - rng.randint(0, 6)
    # What trades can make (minute_trades): one each at open, high, low and close, of one step
    # each, all others around one price. So their sums are known without the trades.
    bought = anchors_above_middle(price, high, low, close)
    trades = 5 + rng.randint(1, 4) ** rng.randint(1, 5)
    amount = trades * rng.randint(1, 900) + trades
    taker_amount = rng.randint(len(bought), amount - 4 + len(bought))
    typical = (high + low + 2 * close) // 4
    return Piece(
        minute, price, high, low, close, amount,
        price + high + low + close + (amount - 4) * typical, trades, taker_amount,
        sum(bought) + (taker_amount - len(bought)) * typical,
    )  # fmt: skip


def _joined(pieces: tuple[Piece, ...]) -> Piece:
    _, opens, highs, lows, closes, *amounts = zip(*pieces, strict=True)
    return Piece(
        pieces[0].minute, opens[0], max(highs), min(lows), closes[-1], *(sum(a) for a in amounts)
    )
