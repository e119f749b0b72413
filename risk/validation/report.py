"""All tests of all methods in one table."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from risk.validation.coverage import conditional_coverage, exceedances, independence, kupiec
from risk.validation.expected_shortfall import acerbi_szekely
from risk.validation.loss import joint_losses, quantile_losses
from risk.validation.rolling import Forecasts
from risk.validation.traffic_light import traffic_light, zone_shares

__all__ = ["Validation", "judge"]

_YEAR = 250


@dataclasses.dataclass(frozen=True, slots=True)
class Validation:
    """What the tests say of one method, out of sample.

    Parameters
    ----------
    method : str
    level : float
    window, refit : int
        As `Forecasts` has them.
    n_periods, exceedances : int
        Periods forecast, and those whose loss was beyond the value at risk.
    expected : float
        Exceedances a right value at risk has on average.
    kupiec_p, independence_p, conditional_p : float
        p-values of the tests of coverage; NaN where a test says nothing.
    z2, shortfall_p : float
        Second statistic of Acerbi and Szekely and its p-value; NaN if an expected shortfall is not above 0.
    quantile_loss, joint_loss : float
        Means; the first in percent of the portfolio's value, the second FZ0. The smaller, the better.
    zone : str
        Of the last 250 periods; ``n/a`` for fewer.
    red_share : float
        Share of all stretches of 250 periods that showed red; NaN for fewer.
    verdict : str
        ``pass`` if coverage, independence and shortfall are all rejected at no more than the significance; else what
        is wrong.
    warnings : tuple of str
    """

    method: str
    level: float
    window: int
    refit: int
    n_periods: int
    exceedances: int
    expected: float
    kupiec_p: float
    independence_p: float
    conditional_p: float
    z2: float
    shortfall_p: float
    quantile_loss: float
    joint_loss: float
    zone: str
    red_share: float
    verdict: str
    warnings: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return self.verdict == "pass"

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return dataclasses.asdict(self) | {"warnings": list(self.warnings), "passed": self.passed}


def judge(forecasts: Forecasts, *, significance: float = 0.05, seed: int = 0) -> Validation:
    """Return what the tests say of a method's forecasts.

    A method passes if Kupiec's, Christoffersen's two and Acerbi and Szekely's second test all have p-values above
    `significance`. Looking at many methods, one in twenty that are right fails a test by chance.

    Parameters
    ----------
    forecasts : Forecasts
    significance : float, default=0.05
    seed : int, default=0
        Of the simulated p-value.
    """
    level, returns, var, es = forecasts.level, forecasts.returns, forecasts.var, forecasts.es
    hits = exceedances(returns, var)
    n_hits, n_periods = int(hits.sum()), hits.size
    share = kupiec(n_hits, n_periods, level)
    clusters, both = independence(hits), conditional_coverage(hits, level)
    notes = forecasts.warnings
    z2 = shortfall_p = joint = float("nan")
    if (es > 0.0).all() and np.isfinite(es).all():
        test = acerbi_szekely(returns, var, es, level, seed=seed)
        z2, shortfall_p, joint = test.z2, test.p2, float(joint_losses(returns, var, es, level).mean())
    else:
        notes = (*notes, "an expected shortfall is infinite or not above 0: it is not tested")
    whole_year = n_periods >= _YEAR
    red = zone_shares(hits, level, _YEAR)["red"] if whole_year else float("nan")
    zone = traffic_light(int(hits[-_YEAR:].sum()), _YEAR, level).zone if whole_year else "n/a"
    too = "too many" if n_hits > (1.0 - level) * n_periods else "too few"
    faults = [
        text
        for text, p_value in (
            (too, share.p_value),
            ("clustered", clusters.p_value),
            ("coverage", both.p_value if min(share.p_value, _or_one(clusters.p_value)) > significance else 1.0),
            ("ES too small", shortfall_p),
        )
        if p_value <= significance
    ]
    return Validation(
        forecasts.method, level, forecasts.window, forecasts.refit, n_periods, n_hits, (1.0 - level) * n_periods,
        share.p_value, clusters.p_value, both.p_value, z2, shortfall_p,
        100.0 * float(quantile_losses(returns, var, level).mean()), joint, zone, red,
        ", ".join(faults) or "pass", notes,
    )  # fmt: skip


def _or_one(p_value: float) -> float:
    return 1.0 if np.isnan(p_value) else p_value
