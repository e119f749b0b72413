"""Scenarios on real workers come back as from one process, in their order."""

from __future__ import annotations

import json

import numpy as np
import pytest

from risk.stress import ReturnHistory, StressTester, library
from trader.core.errors import DataError
from trader.runtime.stress import stress_on_ray

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]

DAYS = np.arange("2019-01-01", "2020-12-31", dtype="datetime64[D]")
FACTORS = np.random.default_rng(1).normal(0.0, 0.01, (len(DAYS), 1))


def test_scenarios_come_back_in_order() -> None:
    """All of the library, and how far it is."""
    factors = ReturnHistory.of(["equity"], FACTORS, DAYS)
    tester = StressTester(ReturnHistory.of("AB", FACTORS * [1.0, 2.0], DAYS), {"A": 0.5, "B": 0.5}, factors)
    told: list[int] = []
    found = stress_on_ray(tester, library(), told.append)
    alone = tester.run_all(library())
    assert [json.dumps(result.to_dict()) for result in found] == [json.dumps(result.to_dict()) for result in alone]
    assert told == sorted(told)
    assert told[-1] == len(library())


def test_errors_are_those_of_one_process() -> None:
    """Too few periods for a covariance."""
    tester = StressTester(ReturnHistory.of("A", FACTORS[:10], DAYS[:10]), {"A": 1.0})
    with pytest.raises(DataError, match="10 periods are complete"):
        stress_on_ray(tester, [scenario for scenario in library() if scenario.kind == "correlation"])
