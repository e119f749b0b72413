"""From scores to target weights: standardise, scale by risk, aim at a volatility, keep every limit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trader.portfolio.sizing_kernels import SizingLimits, target_weights
from trader.portfolio.volatility import EwmaRisk
from trader.settings.sections import SizingSettings

__all__ = ["Sizer"]

FloatArray = NDArray[np.float64]


class Sizer:
    r"""Turns the scores of one instant into target weights.

    In order:

    1. A name is *active* if its score and price are finite and its volatility is known and above zero. The
       others abstain: their target is the weight they have. (Unpriced ones have none.)
    2. Scores of active names are standardised across them and cut at ±3; a single active name keeps its score.
    3. Shape: :math:`s_i = \tau/n + (1-\tau)\, (z_i/\sigma_i) / \sum_j |z_j/\sigma_j|`, with tilt :math:`\tau`;
       long-only cuts at zero. Volatilities below a tenth of their mean are raised to that.
    4. The shape is scaled so that the portfolio, abstaining names included, has the target volatility under the
       estimated covariance; where none is reachable, the least distant. If the mean correlation :math:`\bar\rho` of
       the n active names is above the usual :math:`\rho_0`, the target volatility is multiplied by
       :math:`\{(1 + (n-1) \rho_0) / (1 + (n-1) \bar\rho)\}^{c/2}`, with correlation scaling c: by the ratio of the
       volatilities that n equal risks have with either correlation, if c is 1.
    5. Each name is cut at `max_weight`. One within `rebalance_band` of its target stays where it is, unless the
       target is zero or it is itself beyond a limit.
    6. Names that move are scaled towards zero until gross and net fit; if those that stay put break a limit by
       themselves, all are scaled.
    7. If the way from the current weights is longer than `max_turnover`, only that part of it is gone.

    Every limit holds afterwards if it held before. If the market moved the portfolio beyond one, the target
    is never further beyond it, and within it unless turnover binds.

    Parameters
    ----------
    settings : SizingSettings
    """

    def __init__(self, settings: SizingSettings) -> None:
        self.limits = SizingLimits(
            target_variance=settings.target_volatility**2 / settings.bars_per_year,
            max_weight=settings.max_weight,
            max_gross=settings.max_gross,
            max_net=settings.max_net,
            max_turnover=settings.max_turnover,
            band=settings.rebalance_band,
            tilt=settings.tilt,
            long_only=settings.long_only,
            correlation_scaling=settings.correlation_scaling,
            usual_correlation=settings.usual_correlation,
        )
        """For compiled loops."""

    def target(self, score: FloatArray, prices: FloatArray, current: FloatArray, risk: EwmaRisk) -> FloatArray:
        """Return target weights, shape (n_symbols,), always finite.

        Parameters
        ----------
        score : ndarray of shape (n_symbols,)
            Larger is better; NaN abstains.
        prices : ndarray of shape (n_symbols,)
            Last prices; NaN where none is known.
        current : ndarray of shape (n_symbols,)
            Weights held now; zero where the price is NaN.
        risk : EwmaRisk
        """
        target = np.empty(score.size)
        target_weights(
            np.array(score, np.float64),  # a copy has one memory layout whatever the source
            prices,
            current,
            risk.volatility,
            risk.co_moment,
            self.limits,
            target,
        )
        return target
