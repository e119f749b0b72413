"""Regimes of correlation beside planted ones, scipy's densities, and the days of 2008 and 2020."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import multivariate_t

from risk.correlation.devolatilise import devolatilised
from risk.correlation.regimes import RegimeModel, RegimeMonitor, equicorrelation, log_density
from tests.support.returns import garch_returns
from trader.cli.risk.common import demo_panel
from trader.core.errors import DataError


def _planted(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return returns whose correlation is .2, and .6 in stretches of 60 of 250 periods, and where it is high."""
    high = np.arange(3000) % 250 >= 190
    return garch_returns(3000, 15, seed, correlation=np.where(high, 0.6, 0.2)), high


def test_density_as_scipy() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(20, 4))
    matrix = 1.3 * (np.full((4, 4), 0.4) + 0.6 * np.eye(4))
    expected = multivariate_t(np.zeros(4), matrix, df=5.0).logpdf(rows)
    ours = log_density(rows.sum(axis=1), np.square(rows).sum(axis=1), 4, 0.4, 5.0, 1.3)
    np.testing.assert_allclose(ours, expected, rtol=1e-10)


def test_filter_by_bayes() -> None:
    """The recursion written out by Bayes' rule."""
    model = RegimeModel(3, 0.2, 0.6, 5.0, 1.0, 0.98, 0.95, 99.0, 1.0)
    rows = np.random.default_rng(1).normal(size=(50, 3))
    sums, squares = rows.sum(axis=1), np.square(rows).sum(axis=1)
    density = [np.exp(log_density(sums, squares, 3, level, 5.0, 1.0)) for level in (0.2, 0.6)]
    chance, expected = np.array([0.05, 0.02]) / 0.07, []
    chance = chance[[0, 1]]
    transition = np.array([[0.98, 0.02], [0.05, 0.95]])
    for t in range(50):
        chance = chance @ transition * [density[0][t], density[1][t]]
        chance /= chance.sum()
        expected.append(chance[1])
    np.testing.assert_allclose(model.filter(sums, squares), expected, atol=1e-12)


def test_finds_planted_levels() -> None:
    returns, _ = _planted(7)
    model = RegimeModel.fit(devolatilised(returns))
    assert model.believed
    assert model.low == pytest.approx(0.2, abs=0.07)
    assert model.high == pytest.approx(0.6, abs=0.1)


def test_online_on_planted_regimes() -> None:
    """Nearly every stretch is found, half of them within 15 periods, and hardly one outside; nothing looks ahead."""
    returns, high = _planted(5)
    monitor = RegimeMonitor(returns[:1000])
    alarms = np.array([monitor.update(row).high for row in returns[1000:]])
    starts = np.flatnonzero(np.diff(high.astype(int)) == 1) + 1
    delays = [int(np.argmax(alarms[s - 1000 : s - 1000 + 60])) for s in starts if s >= 1000]
    found = [bool(alarms[s - 1000 : s - 1000 + 60].any()) for s in starts if s >= 1000]
    assert np.mean(found) >= 0.85
    assert np.median(delays) <= 15
    onsets = np.flatnonzero(np.diff(alarms.astype(int), prepend=0) == 1) + 1000
    assert np.count_nonzero(~high[onsets]) <= 1


def test_no_regimes_where_there_are_none() -> None:
    """Constant correlation, heavy tails, clustered volatility: no alarm in 8 years of days."""
    returns = garch_returns(3000, 15, 4)
    monitor = RegimeMonitor(returns[:1000])
    assert not any(monitor.update(row).high for row in returns[1000:])
    assert not monitor.model.believed


def test_known_days() -> None:
    """On the demo's stocks the alarm is on within 5 days of 2008-09-15 and of 2020-02-24, and about once a year."""
    panel = demo_panel()
    days = panel.stamps.astype("datetime64[D]")
    begin = int(np.searchsorted(days, np.datetime64("2004-01-01")))
    monitor = RegimeMonitor(panel.returns[begin - 1000 : begin])
    alarms = np.array([monitor.update(row).high for row in panel.returns[begin:]])
    days = days[begin:]
    for day in ("2008-09-15", "2020-02-24"):
        at = int(np.searchsorted(days, np.datetime64(day)))
        assert alarms[at : at + 6].any(), day
        assert not alarms[at - 1], day
    n_onsets = np.count_nonzero(np.diff(alarms.astype(int)) == 1)
    assert n_onsets / (len(days) / 252) < 1.5


def test_goes_on_after_a_restart() -> None:
    returns, _ = _planted(6)
    monitor = RegimeMonitor(returns[:500], n_fit=300, refit_every=100)
    for row in returns[500:650]:
        monitor.update(row)
    other = RegimeMonitor(returns[:200], n_fit=300, refit_every=100)
    other.restore(json.loads(json.dumps(monitor.state())))
    for row in returns[650:720]:
        assert other.update(row) == monitor.update(row)
    assert monitor.update(returns[720]).to_dict()["believed"] in (True, False)


def test_errors_name_what_is_allowed() -> None:
    returns = garch_returns(200, 3, 1)
    for call, match in (
        (lambda: RegimeMonitor(returns[:100]), "120 or more"),
        (lambda: RegimeMonitor(returns, on=0.1, off=0.2), "off < on"),
        (lambda: RegimeMonitor(returns, n_fit=10), "n_fit=10"),
        (lambda: RegimeMonitor(returns).update(np.zeros(2)), "3 finite"),
        (lambda: RegimeModel.fit(returns[:50]), "100 or more"),
    ):
        with pytest.raises(DataError, match=match):
            call()
    assert np.isnan(equicorrelation(np.zeros(3), np.zeros(3), 2))
