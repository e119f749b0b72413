"""Acerbi and Szekely's tests where VaR and ES are right, and where they are not; losses that the truth minimises."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from risk.validation.expected_shortfall import acerbi_szekely
from risk.validation.loss import joint_losses, quantile_losses
from risk.var.parametric import normal_tail, student_tail
from trader.core.errors import DataError

N = 2000


def test_statistics_are_the_formulas() -> None:
    """Three days by hand."""
    found = acerbi_szekely([-0.03, 0.01, -0.05], [0.02] * 3, [0.04] * 3, 0.95)
    assert found.z1 == pytest.approx(1 - (0.03 + 0.05) / 0.04 / 2)
    assert found.z2 == pytest.approx(1 - (0.03 + 0.05) / 0.04 / (3 * 0.05))


@pytest.mark.parametrize("df", [3.0, 5.0, 100.0])
def test_right_figures_are_rejected_at_about_the_nominal_rate(df: float) -> None:
    """300 histories of a t at .975: rejections at 5 % stay within 2 to 9 %, whatever the tail the null assumes."""
    rng = np.random.default_rng(4)
    var, es = student_tail(0.975, df)
    volatility = np.exp(0.3 * rng.normal(size=N))
    p_values = [
        acerbi_szekely(
            rng.standard_t(df, N) * volatility, var * volatility, es * volatility, 0.975, n_simulations=500, seed=seed
        )
        for seed in range(300)
    ]
    assert 0.02 <= np.mean([test.p2 < 0.05 for test in p_values]) <= 0.09
    assert np.mean([test.z2 for test in p_values]) == pytest.approx(0.0, abs=0.03)
    assert np.mean([test.z1 for test in p_values]) == pytest.approx(0.0, abs=0.03)


def test_a_normal_shortfall_on_a_t_is_rejected() -> None:
    """The coverage is right, the shortfall that of a normal: both statistics see it."""
    rng = np.random.default_rng(1)
    var, _ = student_tail(0.975, 3)
    z, shortfall = normal_tail(0.975)
    found = acerbi_szekely(rng.standard_t(3, 4 * N), np.full(4 * N, var), np.full(4 * N, var * shortfall / z), 0.975)
    assert found.z1 < 0
    assert found.p1 < 0.01
    assert found.p2 < 0.01


def test_critical_value_of_the_paper() -> None:
    """Acerbi and Szekely: at .975 over 250 days Z2 has a 5 % critical value of −0.70 for most tails."""
    z, shortfall = normal_tail(0.975)
    losses = np.zeros(250)
    losses[: round(0.025 * 250 * 1.7)] = shortfall  # Z2 = 1 − 11 / 6.25 = −0.76
    found = acerbi_szekely(-losses, np.full(250, z), np.full(250, shortfall), 0.975, n_simulations=20_000)
    assert found.z2 == pytest.approx(-0.76)
    assert 0.03 < found.p2 < 0.05


def test_no_exceedance() -> None:
    """The first statistic says nothing, the second that figures are too large."""
    found = acerbi_szekely(np.full(300, 0.01), np.full(300, 0.02), np.full(300, 0.03))
    assert math.isnan(found.z1)
    assert math.isnan(found.p1)
    assert (found.z2, found.p2) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("es", "change", "message"),
    [
        ([0.02, 0.0], {}, "below 0 or below var"),
        ([0.02, 0.001], {}, "below var"),
        ([0.02], {}, r"shape \(1,\)"),
        ([0.02, np.nan], {}, "not finite"),
        ([0.02, 0.02], {"tail_shape": 0.5}, "tail_shape=0.5"),
        ([0.02, 0.02], {"n_simulations": 5}, "n_simulations=5"),
    ],
)
def test_what_is_refused(es: list[float], change: dict[str, float], message: str) -> None:
    """Shortfalls that are none."""
    with pytest.raises(DataError, match=message):
        acerbi_szekely([0.01, -0.03], [0.01, 0.01], es, **change)  # type: ignore[arg-type]


def test_quantile_loss_is_that_of_scikit_learn() -> None:
    """The pinball loss of the quantile 1 − level."""
    from sklearn.metrics import mean_pinball_loss

    rng = np.random.default_rng(0)
    returns, var = rng.normal(size=500), rng.normal(1.5, 0.2, 500)
    expected = mean_pinball_loss(returns, -var, alpha=0.05)
    assert quantile_losses(returns, var, 0.95).mean() == pytest.approx(expected, rel=1e-12)


def test_the_truth_minimises_both_losses() -> None:
    """Of VaR and ES scaled up and down, the true pair of a t is best."""
    df = 4.0
    returns = stats.t.ppf((np.arange(200_000) + 0.5) / 200_000, df)
    var, es = student_tail(0.975, df)

    def losses(by_var: float, by_es: float) -> tuple[float, float]:
        stated = np.full(returns.size, var * by_var)
        joint = joint_losses(returns, stated, np.full(returns.size, es * by_es), 0.975)
        return float(quantile_losses(returns, stated, 0.975).mean()), float(joint.mean())

    best = losses(1.0, 1.0)
    for factor in (0.9, 0.97, 1.03, 1.1):
        assert losses(factor, 1.0)[0] > best[0]
        assert losses(factor, 1.0)[1] > best[1]
        assert losses(1.0, factor)[1] > best[1]
    with pytest.raises(DataError, match="not above 0"):
        joint_losses([0.1], [0.1], [0.0])
