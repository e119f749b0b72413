"""What every check of data quality promises."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from trader.core.market import BAR_FIELDS, BarBatch, Universe
from trader.data.quality import CHECKS, Check, MarketHistory, inspect
from trader.data.simulated import SimulatedMarket
from trader.settings import SimulationSettings

NAN = float("nan")


@pytest.fixture(params=CHECKS, ids=lambda check: check.name)
def check(request: pytest.FixtureRequest) -> Check:
    return request.param


@pytest.fixture(scope="module")
def universe() -> Universe:
    return Universe(tuple(f"SIM{i:02d}" for i in range(6)))


@pytest.fixture(scope="module")
def spoilt() -> BarBatch:
    """Bars with every fault that the checks know, each in a symbol of its own where it can be."""
    panel = SimulatedMarket(SimulationSettings(n_symbols=6, n_days=900), seed=11).panel()
    prices = {name: np.array(getattr(panel, name)) for name in ("open", "high", "low", "close", "vwap")}
    for column in prices.values():
        column[300:, 0] /= 4  # a split of symbol 0
        column[500, 1] *= 1.6  # a bad print of symbol 1
    prices["close"][200:215, 2] = prices["close"][200, 2]
    prices["close"][400, 3] = -1.0
    for column in prices.values():
        column[:200, 4] *= 40  # another company before the hole
    present = np.ones(panel.close.shape, bool)
    present[200:500, 4] = False
    present[50:60, 5] = False
    bars = dataclasses.replace(panel, **prices).to_bars()
    row = np.searchsorted(panel.ts_ns, bars.ts_ns)
    bars = bars.take(present[row, bars.symbol_id])
    twice = bars.take(slice(3000, 3006))
    late = bars.take(slice(100, 101))
    return BarBatch.concat([bars.take(slice(0, 3006)), twice, bars.take(slice(3006, None)), late])


def test_it_finds_its_own_fault(check: Check, spoilt: BarBatch, universe: Universe) -> None:
    """A market that holds every fault makes every check speak."""
    found = check.findings(MarketHistory.of(spoilt, universe))
    assert found
    for finding in found:
        assert finding.check == check.name
        assert finding.symbol in universe.symbols
        assert finding.severity in ("info", "warning", "critical")
        assert finding.action in ("reported", "rejected", "repaired")
        assert finding.rows >= 1
        assert finding.detail
        assert "\n" not in finding.detail
        assert spoilt.ts_ns.min() <= finding.ts_ns <= spoilt.ts_ns.max()


def test_it_stays_quiet_on_nothing(check: Check, universe: Universe) -> None:
    """No bars, no findings; and one bar is too little for any."""
    assert check.findings(MarketHistory.of(BarBatch.empty(), universe)) == []
    one = {name: [NAN] for name in BAR_FIELDS} | {"close": [5.0]}
    bar = BarBatch(ts_open_ns=[1], ts_ns=[1], symbol_id=[0], n_trades=[0], **one)
    assert check.findings(MarketHistory.of(bar, universe)) == []


def test_it_demands_no_repair_of_a_clean_market(check: Check) -> None:
    """Fat tails, jumps and regimes are not faults."""
    simulated = SimulatedMarket(SimulationSettings(n_symbols=20, n_days=1500), seed=4)
    found = check.findings(MarketHistory.of(simulated.panel().to_bars(), simulated.info.universe))
    assert [finding for finding in found if finding.action != "reported"] == []


def test_the_numbering_of_symbols_does_not_matter(check: Check, spoilt: BarBatch, universe: Universe) -> None:
    """Other ids for the same symbols give the same findings."""
    renumbered = dataclasses.replace(spoilt, symbol_id=5 - spoilt.symbol_id)
    backwards = Universe(universe.symbols[::-1])
    first = check.findings(MarketHistory.of(spoilt, universe))
    second = check.findings(MarketHistory.of(renumbered, backwards))

    def key(finding: object) -> str:
        return repr(finding)

    assert sorted(first, key=key) == sorted(second, key=key)


def test_checks_have_names_of_their_own(spoilt: BarBatch, universe: Universe) -> None:
    """The report counts every check, and lists findings in order of time."""
    report = inspect(spoilt, universe)
    assert list(report.counts()) == [check.name for check in CHECKS]
    assert len(set(report.counts())) == len(CHECKS)
    assert sum(report.counts().values()) == sum(report.actions().values()) == len(report.findings)
    assert [f.ts_ns for f in report.findings] == sorted(f.ts_ns for f in report.findings)
