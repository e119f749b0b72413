"""Shares as people write them."""

from __future__ import annotations

from typing import Any

from trader.core.errors import UserError
from trader.experiments.spec import default_share

__all__ = ["parse_percent", "parse_ramp", "parse_split", "traffic_fields"]


def traffic_fields(
    split: str | None = None, ramp: str | None = None, canary: float | None = None, thompson: float | None = None
) -> dict[str, Any]:
    """Return the fields of `ExperimentSpec` that say how traffic is shared out.

    >>> traffic_fields(ramp="10,50")
    {'schedule': 'ramp', 'ramp': (0.1, 0.5), 'challenger_share': 0.1}

    Parameters
    ----------
    split, ramp : str, optional
        As `parse_split` and `parse_ramp` read them.
    canary, thompson : float, optional
        Per cent: the challenger's share, for good; the least share of either variant.

    Raises
    ------
    UserError
        If a text or number is not allowed, or more than one schedule is given.
    """
    given = [name for name, value in (("ramp", ramp), ("canary", canary), ("thompson", thompson)) if value is not None]
    if len(given) > 1:
        raise UserError(f"{' and '.join(given)} are not allowed together; traffic has one schedule")
    fields: dict[str, Any] = {}
    if ramp is not None:
        fields = {"schedule": "ramp", "ramp": parse_ramp(ramp)}
    if thompson is not None:
        fields = {"schedule": "thompson", "floor": parse_percent("thompson", thompson)}
    if canary is not None:
        if split is not None:
            raise UserError(f"canary={canary:g} and split={split!r} are not allowed together; both are the share")
        return {"challenger_share": parse_percent("canary", canary)}
    if split is None:
        return fields | {"challenger_share": default_share(fields.get("schedule", "fixed"), fields.get("ramp", ()))}
    share, holdout = parse_split(split)
    return fields | {"challenger_share": share, "holdout": holdout}


def parse_percent(name: str, value: float) -> float:
    """Return the fraction of a number in per cent; one outside [0, 100] raises UserError."""
    if not 0.0 <= value <= 100.0:
        raise UserError(f"{name}={value:g} is not allowed; it is in per cent, 0 to 100")
    return value / 100.0


def parse_ramp(text: str) -> tuple[float, ...]:
    """Return the steps of a text such as `10,50,100`, in per cent; UserError if it is none.

    >>> parse_ramp("10,50,100")
    (0.1, 0.5, 1.0)
    """
    try:
        steps = tuple(parse_percent("ramp", float(part)) for part in text.split(","))
    except ValueError:
        steps = ()
    if not steps:
        raise UserError(f"ramp={text!r} is not allowed; steps are in per cent, such as 10,50,100")
    return steps


def parse_split(text: str) -> tuple[float, float]:
    """Return the shares of challenger and holdout of a text such as `90/10` or `80/10/10`, in per cent.

    >>> parse_split("80/15/5")
    (0.15, 0.05)

    Raises
    ------
    UserError
        If it is not two or three numbers that come to 100.
    """
    try:
        shares = [float(part) for part in text.split("/")]
    except ValueError:
        shares = []
    if len(shares) not in (2, 3) or min(shares) < 0 or abs(sum(shares) - 100.0) > 1e-9:
        raise UserError(f"split={text!r} is not champion/challenger or champion/challenger/holdout, 100 in all")
    return shares[1] / 100.0, shares[2] / 100.0 if len(shares) == 3 else 0.0
