"""Forecasts know nothing of the future, are what the methods say, and pass on the S&P 500."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from risk.panel import ReturnPanel
from risk.validation.report import judge
from risk.validation.rolling import Forecasts, rolling_forecasts
from risk.var.filtered import fit_filter
from risk.var.methods import METHODS, estimate
from trader.core.errors import DataError

WINDOW, REFIT = 300, 25
_EACH = ("historical", "age_weighted", "normal", "ewma", "cornish_fisher")


@pytest.fixture(scope="module")
def returns() -> np.ndarray:
    rng = np.random.default_rng(7)
    return rng.standard_t(5, 400) * 0.01 * np.exp(0.4 * np.sin(np.arange(400) / 40))


@pytest.fixture(scope="module")
def forecasts(returns: np.ndarray) -> dict[str, Forecasts]:
    found = rolling_forecasts(returns, window=WINDOW, refit=REFIT, n_paths=2000)
    return {forecast.method: forecast for forecast in found}


def test_every_method_forecasts_every_period(returns: np.ndarray, forecasts: dict[str, Forecasts]) -> None:
    """In the order of the registry, beside what came."""
    assert list(forecasts) == list(METHODS)
    for forecast in forecasts.values():
        assert forecast.returns == pytest.approx(returns[WINDOW:])
        assert forecast.var.shape == forecast.es.shape == (100,)
        assert (forecast.es >= forecast.var).all()


@pytest.mark.parametrize("method", list(METHODS))
def test_a_forecast_is_the_estimate_of_the_evening_before(
    returns: np.ndarray, forecasts: dict[str, Forecasts], method: str
) -> None:
    """On days of a fit, or every day for the cheap methods: `estimate` on the window that ends the day before."""
    for day in (0, 7, 99) if method in _EACH else (0, 3 * REFIT):
        past = ReturnPanel.of("A", returns[day : day + WINDOW, None])
        expected = estimate(past, np.ones(1), method, n_paths=2000)
        found = forecasts[method]
        tolerance = 0.02 if METHODS[method].filtered else 1e-9  # fits that start elsewhere end a little elsewhere
        assert (found.var[day], found.es[day]) == pytest.approx((expected.var, expected.es), rel=tolerance)


def test_between_fits_the_filter_goes_on(returns: np.ndarray, forecasts: dict[str, Forecasts]) -> None:
    """Volatility is that of yesterday's return with the parameters of the fit."""
    garch = fit_filter(returns[:WINDOW])
    later = np.sqrt(garch.variances_after(returns[WINDOW : WINDOW + 10]))
    found = forecasts["garch_t"].var[:11] + garch.mean
    assert found[1:] / found[0] == pytest.approx(later / np.sqrt(garch.next_variance), rel=1e-9)


@pytest.mark.parametrize("cut", [337, 361])
def test_the_future_changes_nothing(returns: np.ndarray, forecasts: dict[str, Forecasts], cut: int) -> None:
    """Without the last days, or with others in their place, earlier forecasts are the same to the bit."""
    other = np.concatenate([returns[:cut], 5 * returns[cut:][::-1]])
    for past in (returns[:cut], other):
        for found in rolling_forecasts(past, window=WINDOW, refit=REFIT, n_paths=2000):
            n_same = cut - WINDOW + (past.size > cut)  # the first day after the cut is forecast from days before it
            assert (found.var[:n_same] == forecasts[found.method].var[:n_same]).all(), found.method
            assert (found.es[:n_same] == forecasts[found.method].es[:n_same]).all(), found.method


def test_windows_may_be_compared_from_one_first_day(returns: np.ndarray, forecasts: dict[str, Forecasts]) -> None:
    """A shorter window, the same days."""
    (short,) = rolling_forecasts(returns, ["historical"], window=100, first=WINDOW)
    assert short.returns == pytest.approx(forecasts["historical"].returns)
    expected = estimate(ReturnPanel.of("A", returns[200:300, None]), np.ones(1), "historical")
    assert short.var[0] == pytest.approx(expected.var)


def test_progress_reaches_its_end(returns: np.ndarray) -> None:
    """One step a cheap method, one a fit of each kind."""
    seen: list[tuple[int, int]] = []
    rolling_forecasts(
        returns,
        ["historical", "student_t", "monte_carlo_t", "fhs"],
        window=WINDOW,
        refit=50,
        on_progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(i, 5) for i in range(1, 6)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"window": 400}, "400 periods; more than 400"),
        ({"window": 5}, "window=5"),
        ({"refit": 0}, "refit=0"),
        ({"first": 200}, "first=200"),
        ({"methods": ["magic"]}, "magic"),
    ],
)
def test_what_is_refused(returns: np.ndarray, change: dict[str, object], message: str) -> None:
    """Too short, not allowed, not known."""
    with pytest.raises(DataError, match=message):
        rolling_forecasts(returns, **({"window": WINDOW} | change))  # type: ignore[arg-type]


def test_verdicts() -> None:
    """The truth passes; half of it exceeds too often; a shortfall that is no larger than VaR is too small."""
    rng = np.random.default_rng(11)
    volatility = 0.01 * np.exp(0.2 * np.cumsum(rng.normal(size=3000) * 0.1))
    returns = rng.normal(size=3000) * volatility
    truth = Forecasts("normal", 0.99, 250, 1, 0, returns, 2.3263 * volatility, 2.6652 * volatility)
    found = judge(truth)
    assert found.passed
    assert found.expected == pytest.approx(30)
    assert found.to_dict()["passed"]
    half = judge(dataclasses.replace(truth, var=truth.var / 2, es=truth.es / 2))
    assert half.verdict.startswith("too many")
    assert half.quantile_loss > found.quantile_loss
    assert half.joint_loss > found.joint_loss
    assert half.zone == "red"
    assert judge(dataclasses.replace(truth, var=2 * truth.var, es=2 * truth.es)).verdict == "too few"
    late = judge(
        dataclasses.replace(truth, returns=np.roll(returns, 1), var=np.full(3000, 0.02), es=np.full(3000, 0.0))
    )
    assert "not tested" in late.warnings[-1]
    assert np.isnan(late.z2)


@pytest.mark.slow
def test_filtered_simulation_with_a_fitted_tail_passes_on_the_s_and_p_500() -> None:
    """1994 to 2022 at .99, fits every 100 days: it passes every test, and the classical methods do not."""
    from trader.data.datasets import sp500_index

    _, level = sp500_index()
    returns = level[1:] / level[:-1] - 1.0
    verdicts = {
        forecast.method: judge(forecast)
        for forecast in rolling_forecasts(returns, ["historical", "normal", "ewma", "fhs_evt"], refit=100)
    }
    best = verdicts["fhs_evt"]
    assert best.n_periods == 7312
    assert best.passed
    assert min(best.kupiec_p, best.independence_p, best.conditional_p) > 0.05
    assert 65 <= best.exceedances <= 90
    for method in ("historical", "normal", "ewma"):
        assert not verdicts[method].passed
        assert verdicts[method].quantile_loss > best.quantile_loss
