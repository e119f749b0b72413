"""The verdict says what the figures say, and no more."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trader.reporting.run_data import curves_of, read_run
from trader.reporting.signals import signal_quality
from trader.reporting.summary import Summary, summarise
from trader.reporting.verdict import Finding, verdict
from trader.storage import RunRecord, Store
from trader.validation.ic import ICSummary

Simulate = Callable[..., Any]


def summary_of(store: Store, run_id: str) -> Summary:
    data = read_run(store, run_id)
    curves = curves_of(data, None) if len(data.decisions) else None
    return summarise(data, curves, signal_quality(data), Path("runs/sim"), status="complete", ended_ns=2 * 10**18)


@pytest.fixture(scope="module")
def base(simulate_into: Simulate) -> Summary:
    """A run without skill."""
    with Store.open("sqlite://") as store:
        return summary_of(store, simulate_into(store, "sim", n_days=150).run_id)


def judge(summary: Summary, *, status: str = "complete", **changed: Any) -> tuple[Finding, ...]:
    """The verdict on a run some of whose figures are others."""
    record = RunRecord(run_id="x", mode="run", created_ns=0, seed=1, symbols=("A", "B"), settings=summary.settings)
    ic = changed.pop("ic", summary.ic)
    books = changed.pop("accounting", summary.accounting)
    versus = changed.pop("versus", {})
    result = summary.performance
    assert result is not None
    benchmark = dataclasses.replace(result.benchmarks[0], **versus)
    result = dataclasses.replace(result, benchmarks=(benchmark,), **changed)
    return verdict(record, result, ic, books, status=status)


def find(findings: tuple[Finding, ...], text: str) -> Finding:
    (found,) = [finding for finding in findings if text in finding.text]
    return found


CLEAR = {"annual_return": 0.05, "sharpe": 0.5, "sharpe_difference": 0.7, "sharpe_difference_interval": (0.2, 1.2)}


@pytest.mark.parametrize(
    ("own", "versus", "tone", "text"),
    [
        ((0.10, 1.2), CLEAR, "good", "It beat equal-weight buy-and-hold: 10.0 % a year against 5.0 %"),
        ((0.10, 1.2), CLEAR | {"sharpe_difference_interval": (-0.1, 1.5)}, "note", "no more than chance may explain"),
        ((0.10, 0.4), CLEAR, "bad", "did not beat equal-weight buy-and-hold in Sharpe ratio, only in return"),
        ((0.03, 0.6), CLEAR, "bad", "did not beat equal-weight buy-and-hold in return, only in Sharpe ratio"),
        ((0.03, 0.4), CLEAR, "bad", "It did not beat equal-weight buy-and-hold: 3.0 % a year against 5.0 %"),
    ],
)
def test_buy_and_hold_is_beaten_only_when_it_is(
    base: Summary, own: tuple[float, float], versus: dict[str, Any], tone: str, text: str
) -> None:
    """More return, a higher ratio, and an interval above zero are all needed."""
    found = find(judge(base, annual_return=own[0], sharpe=own[1], versus=versus), text)
    assert found.tone == tone
    assert "95 % interval" in found.text


def test_less_than_a_week_is_not_scaled_up_to_a_year(base: Summary) -> None:
    """What a run of minutes earned is told as it is."""
    found = find(
        judge(
            base,
            periods_per_year=1e6,
            annual_return=float("inf"),
            total_return=0.02,
            sharpe=1.2,
            versus=CLEAR | {"annual_return": float("inf"), "total_return": 0.01},
        ),
        "It beat",
    )
    assert "buy-and-hold: 2.0 % against 1.0 %, Sharpe" in found.text


@pytest.mark.parametrize(
    ("value", "tone", "text"), [(0.95, "good", "is likely"), (0.949, "bad", "luck is not excluded")]
)
def test_deflated_sharpe_needs_its_floor(base: Summary, value: float, tone: str, text: str) -> None:
    """From .95 skill is called likely, below it luck is not excluded; the number of trials is named."""
    found = find(judge(base, deflated_sharpe=value, n_trials=40), "deflated")
    assert (found.tone, "40 trials" in found.text, text in found.text) == (tone, True, True)


@pytest.mark.parametrize(
    ("low", "high", "tone", "text"),
    [
        (0.01, 0.05, "good", "better than chance"),
        (-0.01, 0.05, "bad", "includes zero"),
        (-0.05, -0.01, "bad", "wrong way round"),
    ],
)
def test_signals_are_judged_by_their_interval(base: Summary, low: float, high: float, tone: str, text: str) -> None:
    """Only an interval that excludes zero says anything."""
    ic = ICSummary((low + high) / 2, 0.2, 0.01, low, high, 0.95, 1.0, 0.5, 500)
    found = find(judge(base, ic=ic), "rank IC")
    assert (found.tone, text in found.text) == (tone, True)


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"sharpe": 3.01}, "a Sharpe ratio of 3.01"),
        ({"hit_rate_days": 0.61}, "61.0 % of days"),
        ({"hit_rate_signals": 0.601}, "60.1 % of signals"),
        ({"ic": ICSummary(0.11, 0.2, 0.01, 0.1, 0.12, 0.95, 11.0, 0.7, 500)}, "a rank IC of 0.110"),
    ],
)
def test_figures_beyond_belief_are_called_so_first(base: Summary, changed: dict[str, Any], text: str) -> None:
    """A figure no honest daily strategy shows makes the run suspect, before anything else is said."""
    first = judge(base, **changed)[0]
    assert (first.tone, text in first.text) == ("suspect", True)
    assert first.text.startswith("SUSPECT")
    assert judge(base)[0].tone != "suspect"


def test_books_that_do_not_balance_are_suspect(base: Summary) -> None:
    """An accounting error outweighs every figure."""
    books = dataclasses.replace(base.accounting, holds=False, replay_error=0.01)
    assert judge(base, accounting=books)[0] == Finding(
        "suspect", "SUSPECT: the books do not balance; the largest relative error is 1.0e-02."
    )


def test_a_leak_of_the_future_is_suspect_and_noise_is_not(store: Store, simulate: Simulate) -> None:
    """Scores that hold tomorrow's return make the run suspect; random ones earn nothing but costs."""
    leaked = summary_of(store, simulate("leak", n_days=300, skill=3.0).run_id)
    noise = summary_of(store, simulate("noise", n_days=300).run_id)
    assert leaked.suspect
    assert "SUSPECT" in leaked.verdict[0].text
    assert not noise.suspect
    assert find(noise.verdict, "rank IC").tone == "bad"


def test_survivors_are_named_for_the_demo_only(store: Store, simulate: Simulate, base: Summary) -> None:
    """The 20 stocks of the demo are survivors; a simulated market has none."""
    assert "survivors" in " ".join(map(str, base.verdict))
    other = simulate("other", n_days=70, settings={"feed": {"kind": "simulated"}})
    assert "survivors" not in " ".join(map(str, summary_of(store, other.run_id).verdict))


def test_costs_and_assumptions_are_named(base: Summary) -> None:
    """What was paid, relative to what was traded, and what the broker assumes."""
    text = find(base.verdict, "Costs were").text
    assert "3.0 bps of what was traded" in text
    assert "a half-spread of 2.0 bps, a commission of 0.5 bps and square-root impact with coefficient 0.10" in text


def test_costs_that_eat_the_profit_are_bad(base: Summary) -> None:
    """A gain before costs that is a loss after them is against the strategy."""
    assert base.performance is not None
    costs = dataclasses.replace(base.performance.costs, total=100.0)
    assert find(judge(base, pnl=-1.0, costs=costs), "Costs were").tone == "bad"
    assert find(judge(base, pnl=1e6, costs=costs), "Costs were").tone == "note"


def test_short_runs_are_not_judged(store: Store, simulate: Simulate) -> None:
    """Thirty days allow no conclusion, however good they look."""
    short = summary_of(store, simulate(n_days=30, skill=3.0).run_id)
    assert find(short.verdict, "Too short to judge").tone == "note"
    assert {finding.tone for finding in short.verdict} == {"note"}


def test_ruin_and_early_ends_are_told(base: Summary) -> None:
    """A lost capital and a stopped run are said plainly."""
    findings = judge(base, status="incomplete", ruined_ns=1_460_000_000_000_000_000)
    assert find(findings, "The capital was lost on 2016-04-07").tone == "bad"
    assert find(findings, "The run was stopped after").tone == "note"


@pytest.mark.parametrize(("status", "why"), [("complete", "no data"), ("incomplete", "stopped"), ("failed", "failed")])
def test_without_a_decision_there_is_one_sentence(base: Summary, status: str, why: str) -> None:
    """Nothing decided, nothing judged."""
    record = RunRecord(run_id="x", mode="run", created_ns=0, seed=1, symbols=("A",))
    (only,) = verdict(record, None, None, base.accounting, status=status)
    assert "No decision was made" in only.text
    assert why in only.text
