"""What an experiment compares and how it will be judged, written down before it begins."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from trader.core.errors import UserError
from trader.experiments.assignment import Split

__all__ = ["ExperimentSpec", "Kind", "Policy", "Schedule", "Stop", "default_share"]

Kind = Literal["ab", "shadow"]
"""`ab`: the challenger's scores are traded for its share of the symbols; `shadow`: they are never traded."""
Stop = Literal["sequential", "fixed"]
Schedule = Literal["fixed", "ramp", "thompson"]
"""How the challenger's share moves inside a run: see `trader.experiments.traffic`."""
Policy = Literal["manual", "propose", "auto"]
"""Who promotes: people, people after a proposal, or the policy itself; see `trader.experiments.policy`."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_REF = re.compile(r"[^@\s]+@[^@\s]+")
_CHOICES = {
    "kind": get_args(Kind),
    "metric": ("pnl",),
    "stop": get_args(Stop),
    "schedule": get_args(Schedule),
    "policy": get_args(Policy),
}


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
    schedule : {"fixed", "ramp", "thompson"}
    ramp : tuple of float
        Rising shares; the first is `challenger_share`. Empty for other schedules.
    gate_every : int
        Decisions between two gates, at which a share may change; at least 1.
    gate_margin : float or None
        Largest loss per decision, as a fraction, that a gate of a ramp lets pass: non-inferiority by it must be shown.
        None asks for less: that the challenger is not shown to be worse.
    floor : float
        Share that Thompson sampling leaves to either variant, in (0, 0.5].
    seed : int
        Of its draws.
    policy : {"manual", "propose", "auto"}
    cooldown_s : float
        Seconds after a change of the model's champion in which no policy promotes.
    min_agreement : float
        Share of equal signs of the scores that a policy asks of a shadow, in [0, 1].

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
    schedule: Schedule = "fixed"
    ramp: tuple[float, ...] = ()
    gate_every: int = 100
    gate_margin: float | None = None
    floor: float = 0.05
    seed: int = 0
    policy: Policy = "manual"
    cooldown_s: float = 86_400.0
    min_agreement: float = 0.5

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise UserError(f"name={self.name!r} is not allowed; up to 64 letters, digits, '.', '_' and '-' are")
        for field in ("champion", "challenger"):
            if not _REF.fullmatch(getattr(self, field)):
                raise UserError(f"{field}={getattr(self, field)!r} is no exact reference such as linear@1.2.0")
        if self.champion == self.challenger:
            raise UserError(f"champion and challenger are both {self.champion}; two versions are needed")
        for field, allowed in _CHOICES.items():
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
        self._check_traffic()
        if not 0.0 <= self.cooldown_s < math.inf:
            raise UserError(f"cooldown_s={self.cooldown_s} is not allowed; it is 0 or more seconds")
        if not 0.0 <= self.min_agreement <= 1.0:
            raise UserError(f"min_agreement={self.min_agreement} is not allowed; it is in [0, 1]")

    def _check_traffic(self) -> None:
        if self.kind == "shadow" and self.schedule != "fixed":
            raise UserError(f"schedule={self.schedule!r} is not allowed for a shadow; it has none of the traffic")
        if self.gate_every < 1:
            raise UserError(f"gate_every={self.gate_every} is not allowed; at least 1 decision is needed")
        if self.gate_margin is not None and not 0.0 < self.gate_margin < math.inf:
            raise UserError(f"gate_margin={self.gate_margin} is not allowed; it must be positive, or left out")
        if self.seed < 0:
            raise UserError(f"seed={self.seed} is not allowed; it is 0 or more")
        if (self.schedule == "ramp") != bool(self.ramp):
            raise UserError(f"ramp={self.ramp} is not allowed for schedule={self.schedule!r}; a ramp has steps")
        if self.ramp:
            steps = (0.0, *self.ramp)
            if not all(low < high for low, high in itertools.pairwise(steps)) or self.ramp[0] != self.challenger_share:
                raise UserError(
                    f"ramp={self.ramp} is not allowed with challenger_share={self.challenger_share}; "
                    "steps rise from that share"
                )
            self.split.at(self.ramp[-1])
        if self.schedule == "thompson":
            if not 0.0 < self.floor <= 0.5 or 2.0 * self.floor + self.holdout > 1.0:
                raise UserError(
                    f"floor={self.floor} is not allowed; both floors and the holdout are at most 1 together"
                )
            low, high = self.floor, 1.0 - self.holdout - self.floor
            if not low <= self.challenger_share <= high:
                raise UserError(
                    f"challenger_share={self.challenger_share} is not allowed for schedule='thompson'; "
                    f"floors leave {low:g} to {high:g}"
                )

    @property
    def split(self) -> Split:
        """How symbols are shared out."""
        return Split(self.name, self.challenger_share, self.holdout)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return dataclasses.asdict(self) | {"ramp": list(self.ramp)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> ExperimentSpec:
        """Return what `to_dict` was made of."""
        return cls(**{**content, "ramp": tuple(content.get("ramp", ()))})


def default_share(schedule: str, ramp: Sequence[float] = ()) -> float:
    """Return the share that a challenger begins with if none is given: half under Thompson sampling, else a tenth.

    >>> default_share("ramp", (0.05, 1.0)), default_share("fixed")
    (0.05, 0.1)
    """
    if ramp:
        return ramp[0]
    return 0.5 if schedule == "thompson" else 0.1
