"""Units that went elsewhere are a mismatch; those of a sound run never are, whatever the hash and the shares."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from trader.experiments.assess import assess
from trader.experiments.assignment import Variant, assign
from trader.experiments.ratio import sample_ratio
from trader.experiments.spec import ExperimentSpec
from trader.storage import VariantMark

SYMBOLS = tuple(f"S{n}" for n in range(20))
SPEC = ExperimentSpec("e", "a@1", "b@1", challenger_share=0.5, horizon=2000)


def _own(share: float) -> int:
    return int((assign(SYMBOLS, SPEC.split.at(share)) == Variant.CHALLENGER).sum())


def _marks(shares: list[float], lost: int = 0, edge: float = 0.002) -> list[VariantMark]:
    """Marks of a run whose first `lost` decisions had no answer, with a challenger that is better."""
    noise = np.random.default_rng(0).normal(edge, 0.001, len(shares))
    equity = 1e6 * np.cumprod(1.0 + noise)
    return [
        VariantMark(seq, 1e6, float(equity[seq]), 0.6, 0.5, share, 0 if seq < lost else _own(share), seq >= lost)
        for seq, share in enumerate(shares)
    ]


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=50))
@settings(max_examples=50, deadline=None)
def test_a_sound_run_has_no_mismatch(shares: list[float]) -> None:
    """Whatever the shares were, and though 20 symbols cannot meet them."""
    found = sample_ratio(SPEC, SYMBOLS, _marks(shares))
    assert found is not None
    assert (found.p_value, found.observed) == (1.0, found.expected)


def test_lost_units_are_told_by_the_chi_square_test() -> None:
    """The p-value is that of the counts by hand; what the hash gives is expected, not the share."""
    marks = _marks([0.2] * 500 + [0.5] * 500, lost=100)
    expected = 500 * (_own(0.2) + _own(0.5))
    found = sample_ratio(SPEC, SYMBOLS, marks)
    assert found is not None
    assert (found.units, found.expected, found.observed) == (20_000, expected, expected - 100 * _own(0.2))
    chi2 = sum((100 * _own(0.2)) ** 2 / count for count in (expected, 20_000 - expected))
    assert found.p_value == pytest.approx(stats.chi2.sf(chi2, 1))
    assert not found.holds


def test_nothing_split_nothing_to_test() -> None:
    """A shadow, and marks that do not say; a share without a symbol holds; with one arm every loss is a mismatch."""
    old = [mark._replace(share=None, units=None) for mark in _marks([0.5] * 10)]
    assert sample_ratio(SPEC, SYMBOLS, old) is None
    shadow = ExperimentSpec("e", "a@1", "b@1", kind="shadow", challenger_share=0.0)
    assert sample_ratio(shadow, SYMBOLS, _marks([0.0] * 10)) is None
    none = sample_ratio(SPEC, SYMBOLS, _marks([0.0] * 10))
    assert none is not None
    assert (none.p_value, none.expected) == (1.0, 0)
    whole = sample_ratio(SPEC, SYMBOLS, _marks([1.0] * 10, lost=1))
    assert whole is not None
    assert (whole.p_value, whole.observed, whole.expected) == (0.0, 180, 200)


def test_a_mismatch_leaves_the_verdict_open() -> None:
    """A pass is one while units are where they belong; with one in ten lost nothing is concluded."""
    sound = assess(SPEC, _marks([0.5] * 1000), SYMBOLS)
    assert (sound.verdict, sound.is_final) == ("pass", True)
    lost = assess(SPEC, _marks([0.5] * 1000, lost=100), SYMBOLS)
    assert (lost.verdict, lost.is_final) == ("inconclusive", False)
    counts = f"{900 * _own(0.5)} of {1000 * _own(0.5)} units"
    assert lost.reason.startswith(f"sample ratio mismatch: {counts} traded as assigned, p=")
    assert not lost.guardrails[1].holds


def test_a_challenger_that_was_rolled_back_does_not_pass() -> None:
    found = assess(SPEC, _marks([0.5] * 600), SYMBOLS, rolled_back_at=600)
    assert (found.verdict, found.rolled_back_at, found.share) == ("fail", 600, 0.0)
    assert "but the challenger was rolled back before decision 600" in found.reason
