"""Numbers and times as people read them; what is not known is a dash."""

from __future__ import annotations

import datetime as dt
import math
from typing import TypeGuard

__all__ = ["DASH", "count", "day", "duration", "instant", "interval", "money", "number", "percent", "plural", "title"]

DASH = "–"


def percent(value: float | None, digits: int = 1, *, signed: bool = False) -> str:
    """Return a fraction as per cent.

    >>> percent(0.1234), percent(-0.02, signed=True), percent(float("nan"))
    ('12.3 %', '-2.0 %', '–')
    """
    if not _known(value):
        return DASH
    return f"{_no_minus_zero(100 * value, digits):{'+' if signed else ''}.{digits}f} %"


def number(value: float | None, digits: int = 2, unit: str = "", *, signed: bool = False) -> str:
    """Return a number with a fixed count of decimals, and its unit.

    >>> number(1234.5), number(-0.001, unit=" ms"), number(None, unit=" ms")
    ('1,234.50', '0.00 ms', '–')
    """
    if not _known(value):
        return DASH
    return f"{_no_minus_zero(value, digits):{'+' if signed else ''},.{digits}f}{unit}"


def money(value: float | None, *, signed: bool = False) -> str:
    """Return an amount of quote currency, whole units.

    >>> money(1_234_567.8), money(-12.0, signed=True)
    ('1,234,568', '-12')
    """
    return number(value, 0, signed=signed)


def count(value: float | None) -> str:
    """Return a count, shortened from ten thousand on.

    >>> count(9_999), count(12_345), count(3_400_000)
    ('9,999', '12.3k', '3.4M')
    """
    if not _known(value):
        return DASH
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if unit == 'k' else size):.1f}{unit}"
    return f"{value:,.0f}"


def interval(ends: tuple[float | None, float | None] | None, digits: int = 2, *, as_percent: bool = False) -> str:
    """Return both ends.

    >>> interval((0.125, 0.5)), interval((-0.01, 0.02), 1, as_percent=True)
    ('0.12 to 0.50', '-1.0 % to 2.0 %')
    """
    if ends is None or not (_known(ends[0]) and _known(ends[1])):
        return DASH
    low, high = (percent(end, digits) if as_percent else number(end, digits) for end in ends)
    return f"{low} to {high}"


def day(ts_ns: int | None) -> str:
    """Return the UTC day of a time stamp.

    >>> day(1_451_606_400_000_000_000), day(None)
    ('2016-01-01', '–')
    """
    return DASH if ts_ns is None else f"{_utc(ts_ns):%Y-%m-%d}"


def instant(ts_ns: int | None) -> str:
    """Return the UTC second of a time stamp; 0 and None are not known.

    >>> instant(1_451_606_400_000_000_000)
    '2016-01-01 00:00:00'
    """
    return f"{_utc(ts_ns):%Y-%m-%d %H:%M:%S}" if ts_ns else DASH


def duration(seconds: float | None) -> str:
    """Return a length of time in its two largest units.

    >>> duration(7.34), duration(75), duration(3_700), duration(200_000)
    ('7.3 s', '1 min 15 s', '1 h 1 min', '2 d 7 h')
    """
    if not _known(seconds):
        return DASH
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 24 else f"{hours // 24} d {hours % 24} h"


def plural(n: int, noun: str) -> str:
    """Return a count with its noun.

    >>> plural(1, "order"), plural(1200, "order")
    ('1 order', '1,200 orders')
    """
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def title(name: str) -> str:
    """Return a name as a heading has it: the first letter large, underscores as spaces.

    >>> title("equal-weight buy-and-hold"), title("position_limit")
    ('Equal-weight buy-and-hold', 'Position limit')
    """
    return name[:1].upper() + name[1:].replace("_", " ")


def _known(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


def _no_minus_zero(value: float, digits: int) -> float:
    return 0.0 if round(value, digits) == 0 else value


def _utc(ts_ns: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(ts_ns // 1_000_000_000, dt.UTC)
