"""The examples in the docstrings print what they say."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import trader.validation.experiments as experiments

MODULES = [f"{experiments.__name__}.{info.name}" for info in pkgutil.iter_modules(experiments.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name: str) -> None:
    """Every example of the module."""
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_public_names_are_documented_with_their_assumptions() -> None:
    """Each public test says what it assumes and what dependence does to it."""
    tests = [
        "welch_t", "paired_t", "mann_whitney", "chi_square", "sample_ratio_mismatch", "hac_test", "bootstrap_test",
        "cohens_d", "cliffs_delta", "power_of", "confidence_sequence", "msprt_p_values", "spending_boundaries",
        "SequentialComparison", "StreamingMoments", "cuped", "adjust_p_values", "noninferiority_test",
        "equivalence_test", "posterior_of_mean", "sequential_sample_ratio", "sequential_power",
    ]  # fmt: skip
    for name in tests:
        text = getattr(experiments, name).__doc__.replace("\n    ", " ")
        assert "Assumptions" in text, name
        assert "nder autocorrelation" in text, name
