"""Whether the challenger was traded where the assignment says it should have been.

A unit is a symbol at a decision. Which symbols are the challenger's is no draw once the experiment has a name: the hash
says so, and a sound run follows it to the last unit. So the expected counts are those of the assignment at the share
in force, not the share itself, which a handful of symbols can only meet roughly; and a sound run shows no difference,
however often it is looked at. What makes one are units that were the challenger's and went to the champion: answers
that failed or came late, pauses of the breaker, a fault in the routing. The chi-square test [1]_ is the scale: a
mismatch is a loss greater than as many independent draws would show by chance once in a thousand times.

References
----------
.. [1] Fabijan et al. (2019), "Diagnosing sample ratio mismatch in online controlled experiments", KDD.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence

from trader.experiments.assignment import Variant, assign
from trader.experiments.spec import ExperimentSpec
from trader.storage import VariantMark
from trader.validation.experiments import sample_ratio_mismatch

__all__ = ["MISMATCH", "SampleRatio", "sample_ratio"]

MISMATCH = 0.001
"""P-value below which no verdict is given."""


@dataclasses.dataclass(frozen=True, slots=True)
class SampleRatio:
    """Units that the challenger was traded for, beside those that were its own.

    Parameters
    ----------
    units : int
        Symbols at decisions, in all.
    expected, observed : int
        The challenger's, by the assignment and as traded.
    p_value : float
        Of no mismatch.
    """

    units: int
    expected: int
    observed: int
    p_value: float

    @property
    def holds(self) -> bool:
        """Whether the counts are those that were planned, as far as chance would have it."""
        return self.p_value >= MISMATCH

    def __str__(self) -> str:
        return f"{self.observed} of {self.expected} units traded as assigned, p={self.p_value:.3g}"


def sample_ratio(spec: ExperimentSpec, symbols: Sequence[str], marks: Sequence[VariantMark]) -> SampleRatio | None:
    """Return the units that the marks say were traded beside those of the assignment.

    Parameters
    ----------
    spec : ExperimentSpec
    symbols : sequence of str
        Of the run.
    marks : sequence of VariantMark
        Those that do not say who was traded are left out.

    Returns
    -------
    SampleRatio or None
        None for a shadow, and for marks that do not say.
    """
    said = [(mark.share, mark.units) for mark in marks if mark.share is not None and mark.units is not None]
    observed, expected = sum(units for _, units in said), 0
    for share, n in Counter(share for share, _ in said).items():
        expected += n * int((assign(symbols, spec.split.at(share)) == Variant.CHALLENGER).sum())
    units = len(said) * len(symbols)
    if spec.kind == "shadow" or not said:
        return None
    if expected == observed:
        p_value = 1.0
    elif expected in (0, units):  # one arm only: what is elsewhere is there by no chance
        p_value = 0.0
    else:
        p_value = sample_ratio_mismatch([units - observed, observed], [units - expected, expected])
    return SampleRatio(units, expected, observed, p_value)
