"""What an experiment compares and how it will be judged, written down before it begins."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, Literal

from trader.core.errors import UserError
from trader.experiments.assignment import Split

__all__ = ["ExperimentSpec", "Kind", "Stop", "parse_split"]

Kind = Literal["ab", "shadow"]
"""`ab`: the challenger's scores are traded for its share of the symbols; `shadow`: they are never traded."""
Stop = Literal["sequential", "fixed"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_REF = re.compile(r"[^@\s]+@[^@\s]+")


@dataclasses.dataclass(frozen=True, slots=True)
class ExperimentSpec:
    """A pre-registered comparison of two versions of a model.

    Parameters
    ----------
    name : str
        Up to 64 letters, digits, `.`, `_` and `-`; also the salt of the assignment.
    champion, challenger : str
        Exact references such as `linear@1.2.0`. The challenger takes the champion's place in the run's ensemble.
    kind : {"ab", "shadow"}
    challenger_share, holdout : float
        See `Split`; a shadow has a share of 0.
    metric : {"pnl"}
        Return per decision, after costs, of a virtual portfolio that trades the variant's scores for all symbols.
    stop : {"sequential", "fixed"}
        `sequential` may be looked at after every decision, `fixed` decides once, after `horizon` decisions.
    alpha : float
        Chance of a false winner, two-sided.
    horizon : int
        Decisions after which the experiment ends, won or not.

    Raises
    ------
    UserError
        If a field is not allowed.
    """

    name: str
    champion: str
    challenger: str
    kind: Kind = "ab"
    challenger_share: float = 0.1
    holdout: float = 0.0
    metric: Literal["pnl"] = "pnl"
    stop: Stop = "sequential"
    alpha: float = 0.05
    horizon: int = 1000

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise UserError(f"name={self.name!r} is not allowed; up to 64 letters, digits, '.', '_' and '-' are")
        for field in ("champion", "challenger"):
            if not _REF.fullmatch(getattr(self, field)):
                raise UserError(f"{field}={getattr(self, field)!r} is no exact reference such as linear@1.2.0")
        if self.champion == self.challenger:
            raise UserError(f"champion and challenger are both {self.champion}; two versions are needed")
        for field, allowed in (("kind", ("ab", "shadow")), ("metric", ("pnl",)), ("stop", ("sequential", "fixed"))):
            if getattr(self, field) not in allowed:
                raise UserError(f"{field}={getattr(self, field)!r} is not allowed; one of {', '.join(allowed)} is")
        if not 0.0 < self.alpha <= 0.5:
            raise UserError(f"alpha={self.alpha} is not allowed; it is in (0, 0.5]")
        if self.horizon < 2:
            raise UserError(f"horizon={self.horizon} is not allowed; at least 2 decisions are needed")
        if (self.kind == "shadow") != (self.split.challenger == 0.0):
            raise UserError(
                f"challenger_share={self.challenger_share} is not allowed for kind={self.kind!r}; "
                "a shadow has none of the traffic, a challenger some"
            )

    @property
    def split(self) -> Split:
        """How symbols are shared out."""
        return Split(self.name, self.challenger_share, self.holdout)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> ExperimentSpec:
        """Return what `to_dict` was made of."""
        return cls(**content)


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
