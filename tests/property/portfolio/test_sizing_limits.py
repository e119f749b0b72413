from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import settings as run
from hypothesis import strategies as st

from trader.portfolio.sizing import Sizer
from trader.portfolio.volatility import EwmaRisk
from trader.settings.sections import SizingSettings

N = 5
TOLERANCE = 1e-9


def _risk() -> EwmaRisk:
    risk = EwmaRisk(N, 20.0)
    for row in np.random.default_rng(9).normal(0.0, 0.01, (40, N)) * [1.0, 2.0, 0.5, 1.0, 3.0]:
        risk.update(row)
    return risk


RISK = _risk()

score = st.floats(-1e3, 1e3) | st.just(float("nan"))
limits = st.builds(
    SizingSettings,
    target_volatility=st.floats(0.01, 3.0),
    max_weight=st.floats(0.0, 1.0),
    max_gross=st.floats(0.0, 3.0),
    max_net=st.floats(0.0, 2.0),
    max_turnover=st.floats(0.0, 2.0),
    rebalance_band=st.floats(0.0, 0.2),
    tilt=st.floats(0.0, 1.0),
    long_only=st.booleans(),
    correlation_scaling=st.floats(0.0, 1.0),
    usual_correlation=st.floats(0.0, 0.9),
)


def _within(weights: np.ndarray, settings: SizingSettings) -> bool:
    return (
        abs(weights).max() <= settings.max_weight
        and abs(weights).sum() <= settings.max_gross
        and abs(weights.sum()) <= settings.max_net
        and (not settings.long_only or weights.min() >= 0.0)
    )


@run(deadline=None)
@given(
    st.lists(score, min_size=N, max_size=N),
    st.lists(st.floats(-1.5, 1.5), min_size=N, max_size=N),
    st.lists(st.booleans(), min_size=N, max_size=N),
    limits,
    st.booleans(),
)
def test_limits_hold_after_sizing(
    scores: list[float], held: list[float], priced: list[bool], settings: SizingSettings, feasible: bool
) -> None:
    """From weights within all limits every limit holds; from others none is broken further, turnover ever."""
    current = np.where(priced, held, 0.0)
    if feasible and not _within(current, settings):
        current = np.zeros(N)
    prices = np.where(priced, 50.0, np.nan)
    target = Sizer(settings).target(np.array(scores), prices, current, RISK)
    assert np.isfinite(target).all()
    assert (target[~np.array(priced)] == 0.0).all()
    assert abs(target - current).sum() <= settings.max_turnover + TOLERANCE
    assert (abs(target) <= np.maximum(settings.max_weight, abs(current)) + TOLERANCE).all()
    assert abs(target).sum() <= max(settings.max_gross, abs(current).sum()) + TOLERANCE
    assert abs(target.sum()) <= max(settings.max_net, abs(current.sum())) + TOLERANCE
    if settings.long_only:
        assert (target >= np.minimum(current, 0.0) - TOLERANCE).all()
    free = Sizer(settings.model_copy(update={"max_turnover": 1e9})).target(np.array(scores), prices, current, RISK)
    assert abs(free).max() <= settings.max_weight + TOLERANCE
    assert abs(free).sum() <= settings.max_gross + TOLERANCE
    assert abs(free.sum()) <= settings.max_net + TOLERANCE
