"""Rolling statistics with constant work a bar, as compiled functions over a flat array.

All memory of a symbol is one float64 array, `mem`. Each function works on a block of it that begins at `at`;
the block sizes are stated below. A block of zeros is the start.

Sums that forget must not drift: a value has to leave a sum exactly as it entered. Sums are therefore kept in two
floats, the value and what rounding took from it (Knuth's two-sum), so that a sum after a million bars is as good
as one made afresh. Moments of prices, whose mean is large beside their spread, also count the rounding of each
square (Dekker's product). Sources: D. Knuth, *The Art of Computer Programming* 2, 4.2.2; T. Dekker, *A
floating-point technique for extending the available precision*, Numerische Mathematik 18, 1971.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trader.features.jit import compiled

__all__ = [
    "EQUAL",
    "HIGHEST_HEAD",
    "MOMENTS",
    "RING_HEAD",
    "ROLLING_MOMENTS",
    "ROLLING_SUM",
    "SUM",
    "add_exact_moments",
    "add_moments",
    "count",
    "equal_run",
    "exact_deviation",
    "exact_variance",
    "exchange",
    "highest_age",
    "lag",
    "mean",
    "push",
    "newest_place",
    "roll_exact_moments",
    "roll_highest",
    "roll_moments",
    "roll_sum",
    "total",
    "variance",
]

Memory = NDArray[np.float64]

RING_HEAD = 4
"""A ring of the last `size` values takes `RING_HEAD + size`.

Next place, number of pushes, newest value, how many of the newest pushes were equal, values.
"""

SUM = 2
"""A sum takes two: value, rounding error."""

MOMENTS = 4
"""First and second moments take four: two sums."""

ROLLING_SUM = SUM + RING_HEAD
"""A sum over `window` values takes `ROLLING_SUM + window`: sum, ring."""

ROLLING_MOMENTS = MOMENTS + RING_HEAD
"""Moments over `window` values take `ROLLING_MOMENTS + window`: moments, ring."""

HIGHEST_HEAD = 3
"""A rolling highest over `size` takes `HIGHEST_HEAD + 2 * size`: pushes in this round, highest, its place; round."""

_SPLITTER = 134217729.0  # 2**27 + 1 halves a float's 53 bits
EQUAL = 1e-13
"""A variance below this share of the mean square is the rounding of squares: the values are as good as equal."""


@compiled
def push(mem: Memory, at: int, size: int, value: float) -> float:
    """Put a value into a ring and return the one it replaces, 0 while the ring is not full."""
    place = int(mem[at])
    old = mem[at + RING_HEAD + place]
    mem[at + RING_HEAD + place] = value
    mem[at] = place + 1 if place + 1 < size else 0
    mem[at + 1] += 1.0
    mem[at + 3] = mem[at + 3] + 1.0 if value == mem[at + 2] else 1.0
    mem[at + 2] = value
    return float(old)


@compiled
def count(mem: Memory, at: int) -> float:
    """Return how many values were ever put into a ring."""
    return float(mem[at + 1])


@compiled
def equal_run(mem: Memory, at: int) -> float:
    """Return how many of the newest values of a ring are equal."""
    return float(mem[at + 3])


@compiled
def newest_place(mem: Memory, at: int) -> int:
    """Return where the newest value of a ring is, for `lag`."""
    return int(mem[at]) - 1


@compiled
def lag(mem: Memory, at: int, size: int, newest: int, steps: int) -> float:
    """Return the value that was pushed `steps` (below `size`) before the newest; 0 if there is none."""
    place = newest - steps
    if place < 0:
        place += size
    return float(mem[at + RING_HEAD + place])


@compiled
def total(mem: Memory, at: int) -> float:
    """Return a sum."""
    return float(mem[at] + mem[at + 1])


@compiled
def _product_error(a: float, b: float) -> float:
    """Return the rounding error of `a * b`, exactly."""
    high = _SPLITTER * a
    a_high = high - (high - a)
    a_low = a - a_high
    high = _SPLITTER * b
    b_high = high - (high - b)
    b_low = b - b_high
    return a_low * b_low - (((a * b - a_high * b_high) - a_low * b_high) - a_high * b_low)


@compiled
def exchange(mem: Memory, at: int, new: float, old: float, error: float) -> None:
    """Let `new` enter a sum and `old` leave; `error` is what the rounding of the two has left out."""
    change = new - old
    part = change - new
    before = mem[at]
    after = before + change
    back = after - before
    error += (new - (change - part)) - (old + part)
    mem[at] = after
    mem[at + 1] += (before - (after - back)) + (change - back) + error


@compiled
def add_moments(mem: Memory, at: int, new: float, old: float) -> None:
    """Let `new` enter and `old` leave the moments (0 changes nothing)."""
    exchange(mem, at, new, old, 0.0)
    exchange(mem, at + SUM, new * new, old * old, 0.0)


@compiled
def add_exact_moments(mem: Memory, at: int, new: float, old: float) -> None:
    """Let `new` enter and `old` leave, with the rounding of their squares."""
    exchange(mem, at, new, old, 0.0)
    error = _product_error(new, new) - _product_error(old, old)
    exchange(mem, at + SUM, new * new, old * old, error)


@compiled
def roll_sum(mem: Memory, at: int, window: int, value: float) -> float:
    """Return the sum of the last `window` values, this one included; NaN until there are so many."""
    ring = at + SUM
    exchange(mem, at, value, push(mem, ring, window, value), 0.0)
    return total(mem, at) if count(mem, ring) >= window else np.nan


@compiled
def roll_moments(mem: Memory, at: int, window: int, value: float) -> bool:
    """Move the moments on to the last `window` values, this one included; say whether there are so many."""
    ring = at + MOMENTS
    add_moments(mem, at, value, push(mem, ring, window, value))
    return count(mem, ring) >= window


@compiled
def roll_exact_moments(mem: Memory, at: int, window: int, value: float) -> bool:
    """Do as `roll_moments`, with the rounding of squares."""
    ring = at + MOMENTS
    add_exact_moments(mem, at, value, push(mem, ring, window, value))
    return count(mem, ring) >= window


@compiled
def mean(mem: Memory, at: int, n: float) -> float:
    """Return the mean of `n` values, from moments or a sum."""
    return total(mem, at) / n


@compiled
def variance(mem: Memory, at: int, ring: int, n: float, ddof: float) -> float:
    """Return the variance of the newest `n` values of a ring from their moments; 0 when they are equal."""
    if equal_run(mem, ring) >= n:
        return 0.0
    center = mean(mem, at, n)
    square = mean(mem, at + SUM, n)
    spread = square - center * center
    return spread * (n / (n - ddof)) if spread > EQUAL * square else 0.0


@compiled
def exact_variance(mem: Memory, at: int, ring: int, n: float, ddof: float) -> float:
    """Return the variance of the newest `n` values of a ring from exact moments; 0 when they are equal."""
    if equal_run(mem, ring) >= n:
        return 0.0
    s = mem[at] + mem[at + 1]
    s_error = mem[at + 1] - (s - mem[at])
    q = mem[at + SUM] + mem[at + SUM + 1]
    q_error = mem[at + SUM + 1] - (q - mem[at + SUM])
    scaled = n * q
    spread = (scaled - s * s) + ((_product_error(n, q) + n * q_error) - (_product_error(s, s) + 2.0 * s * s_error))
    return spread / (n * (n - ddof)) if spread > 0.0 else 0.0


@compiled
def exact_deviation(mem: Memory, at: int, n: float, value: float) -> float:
    """Return how far a value is from the mean of `n` values, without cancellation."""
    scaled = n * value
    return float(((scaled - mem[at]) + (_product_error(n, value) - mem[at + 1])) / n)


@compiled
def roll_highest(mem: Memory, at: int, size: int, value: float) -> float:
    """Return the highest of the last `size` values, this one included, once there are so many.

    Push negatives for the lowest. Values fill a round of `size` places; places beyond the newest hold, from the
    round before, the highest from there to its end. Constant work but for one pass at the end of a round. Source:
    M. van Herk, *A fast algorithm for local minimum and maximum filters*, Pattern Recognition Letters 13, 1992.
    """
    values = at + HIGHEST_HEAD
    places = values + size
    pushed = int(mem[at])
    if pushed == size:
        mem[places + size - 1] = size - 1
        for i in range(size - 2, -1, -1):
            if mem[values + i] > mem[values + i + 1]:
                mem[places + i] = i
            else:
                mem[values + i] = mem[values + i + 1]
                mem[places + i] = mem[places + i + 1]
        pushed = 0
    if pushed == 0 or value >= mem[at + 1]:
        mem[at + 1] = value
        mem[at + 2] = pushed
    mem[values + pushed] = value
    mem[at] = pushed + 1
    if pushed + 1 < size:
        return float(max(mem[at + 1], mem[values + pushed + 1]))
    return float(mem[at + 1])


@compiled
def highest_age(mem: Memory, at: int, size: int) -> float:
    """Return how many values were pushed after the highest; of equal ones the newest counts."""
    pushed = int(mem[at])
    values = at + HIGHEST_HEAD
    if pushed < size and mem[values + pushed] > mem[at + 1]:
        return float(pushed - 1 + size - mem[values + size + pushed])
    return float(pushed - 1 - mem[at + 2])
