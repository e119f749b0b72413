"""Not worse by more than a margin, and equivalent within one."""

from __future__ import annotations

from numpy.typing import ArrayLike

from trader.validation.experiments.dependence import hac_test
from trader.validation.experiments.results import Inference, check_positive

__all__ = ["equivalence_test", "noninferiority_test"]


def noninferiority_test(differences: ArrayLike, margin: float, *, alpha: float = 0.025) -> Inference:
    """Test that the challenger is not worse than the champion by `margin` or more [1]_.

    Parameters
    ----------
    differences : array_like of shape (n,)
        Challenger minus champion per period of a metric to maximise, in order of time; no NaN.
    margin : float
        Positive, in the unit of the data: the largest loss one would accept, fixed before looking.
    alpha : float, default=0.025
        One-sided, as the field's guideline asks.

    Returns
    -------
    Inference
        Of ``mean <= -margin`` against greater: not inferior if the lower end of the interval is above
        ``-margin``. NaN as `hac_test` gives it.

    Notes
    -----
    Assumptions and behaviour under autocorrelation: those of `hac_test` with the cosine kernel. Not finding a
    difference is no evidence for there being none; this test needs data to pass.

    References
    ----------
    .. [1] ICH E9 (1998), "Statistical principles for clinical trials", section 3.3.2.

    Examples
    --------
    >>> import numpy as np
    >>> noise = np.random.default_rng(0).normal(size=500)
    >>> noninferiority_test(noise - noise.mean(), 0.2).p_value < 0.025
    True
    """
    check_positive(margin, "margin")
    return hac_test(differences, null=-margin, alpha=alpha, alternative="greater")


def equivalence_test(differences: ArrayLike, margin: float, *, alpha: float = 0.05) -> Inference:
    """Test that challenger and champion differ by less than `margin`, by two one-sided tests [1]_.

    Parameters
    ----------
    differences, margin
        As in `noninferiority_test`.
    alpha : float, default=0.05
        Of each side and so of the whole.

    Returns
    -------
    Inference
        The p-value is the larger of the two, the statistic that of the nearer bound and the interval of level
        ``1 - 2 alpha``: equivalent if it lies within the margins.

    Notes
    -----
    Assumptions and behaviour under autocorrelation: those of `hac_test` with the cosine kernel.

    References
    ----------
    .. [1] Schuirmann (1987), "A comparison of the two one-sided tests procedure and the power approach for
       assessing the equivalence of average bioavailability", J. Pharmacokinetics and Biopharmaceutics 15.
    """
    check_positive(margin, "margin")
    above = hac_test(differences, null=-margin, alpha=alpha, alternative="greater")
    below = hac_test(differences, null=margin, alpha=alpha, alternative="less")
    nearer = above if above.p_value >= below.p_value else below
    return Inference(above.estimate, above.low, below.high, nearer.statistic, nearer.p_value, nearer.degrees, nearer.n)
