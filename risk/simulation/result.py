"""What a simulation found."""

from __future__ import annotations

import dataclasses
from typing import Any

from risk.simulation.paths import PathSummary
from risk.simulation.plan import SimulationPlan
from risk.simulation.spec import SimulationSpec

__all__ = ["LevelFigures", "SimulationResult", "conclude"]


@dataclasses.dataclass(frozen=True, slots=True)
class LevelFigures:
    """Figures at one confidence level; losses and drawdowns are positive fractions of value.

    Parameters
    ----------
    level : float
    var, es : float
        Of the loss at the horizon.
    var_low, var_high : float
        95 % interval of `var` over seeds, from ranks; too wide for antithetic and Sobol paths.
    drawdown : float
        Quantile of the greatest fall from a peak within the horizon.
    drawdown_es : float
        Mean of the worse ones.
    """

    level: float
    var: float
    es: float
    var_low: float
    var_high: float
    drawdown: float
    drawdown_es: float


@dataclasses.dataclass(frozen=True, slots=True)
class SimulationResult:
    """Figures of all paths.

    Parameters
    ----------
    spec : SimulationSpec
    figures : tuple of LevelFigures
        One a level, in the order of `spec.levels`.
    mean, deviation, worst : float
        Of the losses at the horizon.
    mean_drawdown, worst_drawdown : float
    n_ruined : int
        Paths that ended with nothing or less.
    degrees : float
        Of the t; infinite for other models.
    n_observations : int
        Periods that the model is estimated from.
    exact : bool
        Whether VaR and ES are those of the losses themselves; if not they come from bins of ±.01 %.
    warnings : tuple of str
    """

    spec: SimulationSpec
    figures: tuple[LevelFigures, ...]
    mean: float
    deviation: float
    worst: float
    mean_drawdown: float
    worst_drawdown: float
    n_ruined: int
    degrees: float
    n_observations: int
    exact: bool
    warnings: tuple[str, ...]

    @property
    def var(self) -> tuple[float, ...]:
        """VaR at each level."""
        return tuple(found.var for found in self.figures)

    @property
    def es(self) -> tuple[float, ...]:
        """ES at each level."""
        return tuple(found.es for found in self.figures)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return fields | {
            "spec": self.spec.to_dict(),
            "figures": [dataclasses.asdict(found) for found in self.figures],
            "warnings": list(self.warnings),
        }


def conclude(plan: SimulationPlan, summary: PathSummary) -> SimulationResult:
    """Return the result that the summary of all chunks amounts to."""
    losses, drawdowns = summary.losses, summary.drawdowns
    warnings = list(plan.warnings)
    if summary.n_ruined:
        warnings.append(f"{summary.n_ruined} of {losses.n} paths lost everything")
    figures = []
    for level in plan.spec.levels:
        low, high = losses.var_interval(level)
        figures.append(
            LevelFigures(
                level, losses.var(level), losses.es(level), low, high, drawdowns.var(level), drawdowns.es(level)
            )
        )
    return SimulationResult(
        spec=plan.spec,
        figures=tuple(figures),
        mean=losses.mean,
        deviation=losses.deviation,
        worst=losses.highest,
        mean_drawdown=drawdowns.mean,
        worst_drawdown=drawdowns.highest,
        n_ruined=summary.n_ruined,
        degrees=plan.degrees,
        n_observations=plan.n_observations,
        exact=losses.exact,
        warnings=tuple(warnings),
    )
