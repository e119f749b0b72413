"""Simulated figures against closed forms, against enumerated histories, and against themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from risk.panel import ReturnPanel
from risk.simulation import PathSummary, SimulationSpec, conclude, plan_simulation, run_chunks, simulate
from risk.simulation.plan import fit_degrees, spread_of
from trader.core.errors import DataError

COVARIANCE = np.array([[4.0, 1.0, 0.5], [1.0, 2.0, -0.3], [0.5, -0.3, 1.0]]) * 1e-4
WEIGHTS = np.array([0.5, 0.7, -0.4])
SIGMA = math.sqrt(WEIGHTS @ COVARIANCE @ WEIGHTS)


def _panel(n_periods: int = 400) -> ReturnPanel:
    returns = np.random.default_rng(2).multivariate_normal(np.zeros(3), COVARIANCE, n_periods)
    return ReturnPanel.of("ABC", returns)


@pytest.mark.parametrize("holding", ["rebalanced", "held"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("model", ["normal", "t"])
def test_one_period_is_the_closed_form(model: str, dtype: str, holding: str) -> None:
    """VaR and ES of a normal and of a t with 5 degrees, given the covariance; the drawdown is the loss."""
    spec = SimulationSpec(
        model, 300_000, 1, (0.95, 0.99), seed=4, dtype=dtype, holding=holding, degrees=5.0 if model == "t" else None
    )
    found = simulate(_panel(), WEIGHTS, spec, covariance=COVARIANCE)
    for figures in found.figures:
        if model == "normal":
            z = stats.norm.ppf(figures.level)
            var, es = z, stats.norm.pdf(z) / (1 - figures.level)
        else:
            z, unit = stats.t.ppf(figures.level, 5), math.sqrt(3 / 5)
            var, es = z * unit, unit * stats.t.pdf(z, 5) / (1 - figures.level) * (5 + z**2) / 4
        assert figures.var == pytest.approx(SIGMA * var, rel=0.015)
        assert figures.es == pytest.approx(SIGMA * es, rel=0.02)
        assert figures.drawdown == pytest.approx(figures.var, rel=1e-6)
    assert found.deviation == pytest.approx(SIGMA, rel=0.02)


def test_interval_covers_the_truth() -> None:
    """In about 95 of 100 seeds, the true VaR lies inside."""
    truth = SIGMA * stats.norm.ppf(0.99)
    inside = 0
    for seed in range(200):
        spec = SimulationSpec(n_paths=4000, horizon=1, levels=(0.99,), seed=seed)
        figures = simulate(_panel(), WEIGHTS, spec, covariance=COVARIANCE).figures[0]
        inside += figures.var_low <= truth <= figures.var_high
    assert 180 <= inside <= 199


@pytest.mark.parametrize("holding", ["rebalanced", "held"])
@pytest.mark.parametrize("drift", [True, False])
def test_endless_blocks_are_the_windows_of_the_history(holding: str, drift: bool) -> None:
    """With blocks that never end, each path is one of the windows, whose outcomes can be listed."""
    panel, horizon = _panel(100), 7
    spec = SimulationSpec(
        "bootstrap", 100_000, horizon, (0.9,), dtype="float64", holding=holding, drift=drift, block=1e12
    )
    found = simulate(panel, WEIGHTS, spec)
    returns = panel.returns if drift else panel.returns - panel.returns.mean(axis=0)
    losses, falls = [], []
    for start in range(100):
        window = returns[(start + np.arange(horizon)) % 100]
        if holding == "held":
            curve = 1.0 - WEIGHTS.sum() + np.cumprod(1.0 + window, axis=0) @ WEIGHTS
        else:
            curve = np.cumprod(1.0 + window @ WEIGHTS)
        curve = np.concatenate([[1.0], curve])
        losses.append(1.0 - curve[-1])
        falls.append((1.0 - curve / np.maximum.accumulate(curve)).max())
    figures = found.figures[0]
    assert found.worst == pytest.approx(max(losses), abs=1e-12)
    assert found.worst_drawdown == pytest.approx(max(falls), abs=1e-12)
    assert found.mean == pytest.approx(np.mean(losses), abs=2e-4)
    assert found.mean_drawdown == pytest.approx(np.mean(falls), abs=2e-4)
    ranked = np.sort(losses)
    assert ranked[88] <= figures.var + 1e-12 <= ranked[91] + 2e-12
    assert figures.drawdown == pytest.approx(np.quantile(falls, 0.9), rel=0.05)


def test_blocks_keep_dependence() -> None:
    """Returns that come in pairs of one sign: single draws lose what blocks keep, the variance over two periods."""
    signs = np.repeat(np.random.default_rng(8).choice([-1.0, 1.0], 300), 2) * 0.01
    panel = ReturnPanel.of("A", signs[:, None])
    single, blocks = (
        simulate(panel, np.ones(1), SimulationSpec("bootstrap", 40_000, 2, block=block)).deviation ** 2
        for block in (1.0, 50.0)
    )
    centred = signs - signs.mean()
    assert single == pytest.approx(2 * np.var(signs), rel=0.05)
    assert blocks == pytest.approx(2 * np.var(signs) + 2 * np.mean(centred * np.roll(centred, -1)), rel=0.06)


def test_drawdown_is_that_of_a_brownian_motion() -> None:
    """Expected greatest drawdown of a driftless one: 1.2533 σ √T (Magdon-Ismail et al. 2004), less what steps miss."""
    found = simulate(
        ReturnPanel.of("A", [[0.1], [-0.1]]),
        np.ones(1),
        SimulationSpec(n_paths=20_000, horizon=1000),
        covariance=np.array([[1e-8]]),
    )
    expected = math.sqrt(math.pi / 2) * 1e-4 * math.sqrt(1000)
    # Broadie, Glasserman and Kou (1997): discrete looks see .5826 standard deviations of a step less, at each end.
    assert found.mean_drawdown == pytest.approx(expected - 2 * 0.5826 * 1e-4, rel=0.02)


@pytest.mark.parametrize("model", ["normal", "t", "bootstrap"])
@pytest.mark.parametrize("holding", ["rebalanced", "held"])
def test_chunks_may_be_run_by_anyone_in_any_order(model: str, holding: str) -> None:
    """Four chunks at once, or one by one from the last: the same result, to the bit."""
    plan = plan_simulation(_panel(), WEIGHTS, SimulationSpec(model, 30_000, 3, holding=holding))
    whole, parts = run_chunks(plan, 0, 4), PathSummary.empty(plan)
    for chunk in (3, 1, 0, 2):
        parts.merge(run_chunks(plan, chunk, chunk + 1))
    assert conclude(plan, whole).to_dict() == conclude(plan, parts).to_dict()
    other = simulate(_panel(), WEIGHTS, SimulationSpec(model, 30_000, 3, seed=1, holding=holding))
    assert conclude(plan, whole).mean != other.mean


def test_antithetic_paths_mirror_each_other() -> None:
    """Their mean loss is zero but for rounding, where that of plain paths is not."""
    plain, mirrored = (
        simulate(_panel(), WEIGHTS, SimulationSpec(n_paths=10_000, horizon=1, sampling=sampling, dtype="float64"))
        for sampling in ("plain", "antithetic")
    )
    assert abs(mirrored.mean) < 1e-15
    assert abs(plain.mean) > 1e-6
    odd = simulate(_panel(), WEIGHTS, SimulationSpec("t", n_paths=9999, horizon=2, sampling="antithetic"))
    assert odd.figures[1].var > 0


@pytest.mark.parametrize("model", ["normal", "t"])
def test_sobol_paths_are_closer_to_the_truth(model: str) -> None:
    """Over 20 seeds the VaR of one period varies less than half as much as that of plain paths."""
    spread = {}
    for sampling in ("plain", "sobol"):
        found = [
            simulate(
                _panel(),
                WEIGHTS,
                SimulationSpec(model, 8192, 1, (0.99,), seed, sampling=sampling, degrees=5.0 if model == "t" else None),
                covariance=COVARIANCE,
            ).var[0]
            for seed in range(20)
        ]
        spread[sampling] = np.std(found)
        z = stats.norm.ppf(0.99) if model == "normal" else stats.t.ppf(0.99, 5) * math.sqrt(3 / 5)
        assert np.mean(found) == pytest.approx(SIGMA * z, rel=0.02)
    assert spread["sobol"] < 0.5 * spread["plain"]


def test_sobol_spreads_assets_too() -> None:
    """Held positions over several periods, a net that is cut: mean and variance are right."""
    spec = SimulationSpec("t", 10_000, 5, degrees=6.0, sampling="sobol", holding="held")
    found = simulate(_panel(), WEIGHTS, spec, covariance=COVARIANCE)
    assert found.deviation == pytest.approx(SIGMA * math.sqrt(5), rel=0.03)


def test_degrees_are_found() -> None:
    """As scipy fits them to one series, and as they were drawn for several."""
    rng = np.random.default_rng(5)
    single = rng.standard_t(4, (5000, 1))
    scipy_degrees, _, scale = stats.t.fit(single[:, 0], floc=single.mean())
    ours = fit_degrees(single, np.array([[scale**2 * scipy_degrees / (scipy_degrees - 2)]]))
    assert ours == pytest.approx(scipy_degrees, rel=0.02)
    several = rng.multivariate_normal(np.zeros(3), COVARIANCE, 5000) / np.sqrt(rng.chisquare(6, (5000, 1)) / 6)
    assert fit_degrees(several, np.cov(several.T)) == pytest.approx(6.0, rel=0.12)


def test_singular_covariances_are_said_and_used() -> None:
    """A copied asset: eigenvectors give the same covariance back."""
    mixed = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    singular = mixed @ np.diag([4e-4, 1e-4]) @ mixed.T
    spread, warnings = spread_of(singular)
    np.testing.assert_allclose(spread @ spread.T, singular, atol=1e-18)
    assert "rank 2 of 3" in warnings[0]
    found = simulate(_panel(), WEIGHTS, SimulationSpec(horizon=1, holding="held"), covariance=singular)
    assert any("singular" in warning for warning in found.warnings)
    with pytest.raises(DataError, match="eigenvalue"):
        spread_of(np.diag([1.0, -1.0]))


def test_ruin_is_counted_and_final() -> None:
    """Twenty times geared, many lose all, none more than that."""
    found = simulate(_panel(), 40.0 * WEIGHTS, SimulationSpec(horizon=20))
    assert found.n_ruined > 100
    assert found.worst == found.worst_drawdown == 1.0
    assert any("lost everything" in warning for warning in found.warnings)


def test_assets_lose_all_they_are_worth_at_most() -> None:
    """A held portfolio without debt loses no more than itself, though single returns fall below -1."""
    found = simulate(
        _panel(), np.array([0.5, 0.5, 0.0]), SimulationSpec(horizon=30, holding="held"), covariance=900 * COVARIANCE
    )
    assert 0.9 < found.worst <= 1.0


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"model": "laplace"}, "laplace"),
        ({"n_paths": 0}, "n_paths=0"),
        ({"n_paths": 10**10}, "n_paths"),
        ({"horizon": 0}, "horizon=0"),
        ({"levels": ()}, "levels"),
        ({"levels": (1.0,)}, "levels"),
        ({"degrees": 2.0}, "degrees=2"),
        ({"block": 0.5}, "block=0.5"),
        ({"model": "bootstrap", "sampling": "sobol"}, "bootstrap"),
        ({"dtype": "float16"}, "float16"),
    ],
)
def test_what_cannot_be_simulated_is_refused(chosen: dict[str, object], message: str) -> None:
    """The error names the field and what is allowed."""
    with pytest.raises(DataError, match=message):
        SimulationSpec(**chosen)  # type: ignore[arg-type]


def test_portfolios_that_cannot_be_simulated_are_refused() -> None:
    """No weight, too little history, too many Sobol dimensions, a covariance of another shape or of no use."""
    panel = _panel()
    with pytest.raises(DataError, match="no variance"):
        simulate(panel, np.zeros(3))
    with pytest.raises(DataError, match="at least 2"):
        simulate(panel.last(1), WEIGHTS)
    with pytest.raises(DataError, match="Sobol dimensions"):
        simulate(panel, WEIGHTS, SimulationSpec(horizon=20_000, sampling="sobol", holding="held"))
    with pytest.raises(DataError, match="covariance has shape"):
        simulate(panel, WEIGHTS, covariance=np.eye(2))
    with pytest.raises(DataError, match="the bootstrap has none"):
        simulate(panel, WEIGHTS, SimulationSpec("bootstrap"), covariance=COVARIANCE)
    with pytest.raises(DataError, match="weights has shape"):
        simulate(panel, np.ones(2))
    few = simulate(panel, WEIGHTS, SimulationSpec(n_paths=1000, levels=(0.99,)))
    assert any("10 paths lie beyond" in warning for warning in few.warnings)
