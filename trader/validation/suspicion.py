"""Results too good to be true: a stamp that stays until somebody says why they are true after all.

Daily and minute returns are nearly unpredictable. Published signals have mean information coefficients of .02 to
.05 and directional hit rates of .51 to .55; whoever finds much more has, almost always, found the future in the
features. The limits below are where a result is more likely a leak than a discovery:

=========================  =========  ==========================================================
out-of-sample figure       limit      and where the base rate is high
=========================  =========  ==========================================================
hit rate                   above .60  above the base rate by more than .05, if that is higher
mean information coeff.    above .10
=========================  =========  ==========================================================

**The rule.** The estimate decides, not its lower confidence bound: a stamp costs a sentence, a missed leak costs
the money, and a bound would let a leak pass in every test that is short. The bound says how sure the stamp is. If
it is above the limit too, luck is ruled out; if it is below what no skill reaches, luck is the likelier reason, and
the reason says so. Where there is no estimate, or fewer than `MIN_INSTANTS` instants, the verdict is `undecided`: no
data are no pass.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError
from trader.validation.ic import information_coefficient
from trader.validation.panel import Estimate

__all__ = [
    "HIT_LIMIT",
    "IC_LIMIT",
    "MIN_INSTANTS",
    "Acknowledgement",
    "Suspicion",
    "judge",
    "leaking_features",
]

FloatArray = NDArray[np.float64]
Verdict = Literal["credible", "suspect", "undecided"]

HIT_LIMIT = 0.60
IC_LIMIT = 0.10
BASE_MARGIN = 0.05
"""How far above the base rate a hit rate may lie where the base rate itself is near the limit."""
MIN_INSTANTS = 20
_MIN_WHY = 15


@dataclasses.dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Who says why a suspect result is true, and when (ISO 8601, UTC)."""

    by: str
    why: str
    at: str


@dataclasses.dataclass(frozen=True, slots=True)
class Suspicion:
    """The verdict of `judge`, and what was said to it.

    Parameters
    ----------
    verdict : {"credible", "suspect", "undecided"}
        It stays what it is; an acknowledgement is added to it.
    reasons : tuple of str
        A sentence for each limit that was passed, or for what is missing.
    acknowledged : Acknowledgement, optional
    """

    verdict: Verdict
    reasons: tuple[str, ...] = ()
    acknowledged: Acknowledgement | None = None

    @property
    def open(self) -> bool:
        """Whether the result is suspect and nobody has said why it is true."""
        return self.verdict == "suspect" and self.acknowledged is None

    @property
    def stamp(self) -> str:
        """What to print over the result: empty where it is credible."""
        if self.verdict == "suspect":
            said = self.acknowledged
            return "SUSPECT" if said is None else f"SUSPECT, acknowledged by {said.by}: {said.why}"
        return "" if self.verdict == "credible" else "UNDECIDED"

    def acknowledge(self, *, by: str, why: str, at: dt.datetime) -> Suspicion:
        """Return the suspicion with a person's reason to believe the result all the same.

        Parameters
        ----------
        by : str
            Name of the person.
        why : str
            The reason, in at least 15 characters: "ok" explains nothing.
        at : datetime
            With its time zone.

        Raises
        ------
        DataError
            If the result is not suspect, or a name, reason or zone is missing.
        """
        if self.verdict != "suspect":
            raise DataError(f"the verdict is {self.verdict!r}; only a suspect result can be acknowledged")
        if not by.strip():
            raise DataError("by is empty; an acknowledgement needs a name")
        if len(why.strip()) < _MIN_WHY:
            raise DataError(f"why={why!r} is too short; say in at least {_MIN_WHY} characters why the result is true")
        if at.tzinfo is None:
            raise DataError(f"at={at} has no time zone")
        stamp = at.astimezone(dt.UTC).isoformat(timespec="seconds")
        return dataclasses.replace(self, acknowledged=Acknowledgement(by.strip(), why.strip(), stamp))

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name, ready for JSON."""
        return {**dataclasses.asdict(self), "reasons": list(self.reasons)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Suspicion:
        """Return what `to_dict` was made of; anything else raises DataError."""
        try:
            said = content["acknowledged"]
            verdict = content["verdict"]
            if verdict not in ("credible", "suspect", "undecided"):
                raise ValueError(verdict)
            return cls(verdict, tuple(content["reasons"]), None if said is None else Acknowledgement(**said))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"this is not a stored suspicion: {error!r}") from error


def judge(*, hit_rate: Estimate | None = None, ic: Estimate | None = None) -> Suspicion:
    """Judge out-of-sample figures of returns of a day or less.

    Parameters
    ----------
    hit_rate : Estimate, optional
        Share of directions that were right (`hit_estimate`); its base is the share of the more frequent one.
    ic : Estimate, optional
        Mean information coefficient (`ic_estimate`); a figure of either sign is judged by its size, for a model
        that is always wrong has seen the future too.

    Returns
    -------
    Suspicion

    Examples
    --------
    >>> found = judge(ic=Estimate(0.21, 0.15, 0.27, base=0.0, level=0.95, n_instants=500))
    >>> found.stamp
    'SUSPECT'
    >>> found.reasons[0]
    'the mean information coefficient of 0.210 is above 0.10; so is its lower bound of 0.150: it is no luck'
    """
    reasons: list[str] = []
    missing: list[str] = []
    figures = (
        ("hit rate", hit_rate, 0.0 if hit_rate is None else max(HIT_LIMIT, hit_rate.base + BASE_MARGIN)),
        ("mean information coefficient", None if ic is None else _by_size(ic), IC_LIMIT),
    )
    for name, figure, limit in figures:
        if figure is None:
            continue
        if not math.isfinite(figure.value):
            missing.append(f"the {name} is unknown")
            continue
        if figure.value > limit:
            reasons.append(f"the {name} of {figure.value:.3f} is above {limit:.2f}; {_how_sure(figure, limit)}")
        elif figure.n_instants < MIN_INSTANTS:
            missing.append(f"the {name} is that of {figure.n_instants} instants; {MIN_INSTANTS} are needed")
    if reasons:
        return Suspicion("suspect", (*reasons, *missing))
    if missing or (hit_rate is None and ic is None):
        return Suspicion("undecided", tuple(missing) or ("nothing was measured out of sample",))
    return Suspicion("credible")


def leaking_features(
    features: FloatArray, target: FloatArray, names: tuple[str, ...], limit: float = IC_LIMIT
) -> dict[str, float]:
    """Return the features that alone have a mean information coefficient beyond the limit: where to look first.

    Parameters
    ----------
    features : ndarray of shape (n_slices, n_symbols, n_features)
    target : ndarray of shape (n_slices, n_symbols)
        What followed; NaN is unknown.
    names : tuple of str
    limit : float

    Returns
    -------
    dict of str to float
        Mean rank IC by name, the largest size first; only of features known at `MIN_INSTANTS` instants.
    """
    if features.ndim != 3 or features.shape[:2] != target.shape or features.shape[2] != len(names):
        raise DataError(
            f"features have shape {features.shape}; a target of {target.shape} and {len(names)} names do not match"
        )
    found = {}
    for column, name in enumerate(names):
        ic = information_coefficient(features[:, :, column], target)
        known = ic[np.isfinite(ic)]
        if known.size >= MIN_INSTANTS and abs(known.mean()) > limit:
            found[name] = float(known.mean())
    return dict(sorted(found.items(), key=lambda item: -abs(item[1])))


def _by_size(ic: Estimate) -> Estimate:
    """Return the estimate with its sign turned to positive."""
    return dataclasses.replace(ic, value=-ic.value, low=-ic.high, high=-ic.low) if ic.value < 0 else ic


def _how_sure(figure: Estimate, limit: float) -> str:
    if not math.isfinite(figure.low):
        return "how sure that is, is unknown"
    if figure.low > limit:
        return f"so is its lower bound of {figure.low:.3f}: it is no luck"
    if figure.skilled:
        return f"its lower bound of {figure.low:.3f} is not, but above {figure.base:.2f}, what no skill reaches"
    return (
        f"its lower bound of {figure.low:.3f} is within what no skill reaches: "
        f"{figure.n_instants} instants may be too few to tell it from luck"
    )
