"""The part of a run's report that tells of its experiment."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trader.experiments.actions import look
from trader.experiments.assess import Assessment, plan_of
from trader.experiments.assignment import Variant, assign
from trader.experiments.book import Experiment
from trader.experiments.calibration import calibrations
from trader.experiments.spec import ExperimentSpec
from trader.experiments.wording import schedule_text
from trader.reporting import formats as fmt
from trader.reporting.panels import variants_panel
from trader.reporting.panels_experiment import evidence_panel, traffic_panel
from trader.reporting.plots import Plot, make_plot
from trader.reporting.sections import Grid
from trader.storage import DecisionTable, Store, VariantMark
from trader.validation.score_calibration import ScoreCalibration

__all__ = ["ExperimentPart", "experiment_part", "verdict_grid"]

FloatArray = NDArray[np.float64]
_NAMES = tuple(variant.name.lower() for variant in Variant)


@dataclasses.dataclass(frozen=True, slots=True)
class ExperimentPart:
    """What the report shows of an experiment.

    Parameters
    ----------
    grids : tuple of Grid
    plots : tuple of Plot
        Of the virtual portfolios, the evidence and the share.
    variants : ndarray of shape (n_decisions, n_symbols), int8
        The `Variant` that each symbol belonged to.
    """

    grids: tuple[Grid, ...]
    plots: tuple[Plot, ...]
    variants: NDArray[np.int8]

    def label(self, signals: pa.Table) -> pa.Table:
        """Return signals, which name every symbol at each decision in turn, with the variant that it belonged to."""
        names = pa.array(_NAMES, pa.string())
        return signals.append_column("variant", names.take(pa.array(self.variants.reshape(-1))))


def experiment_part(
    store: Store,
    run_id: str,
    name: str,
    decisions: DecisionTable,
    outcome: FloatArray,
    pnl_by_symbol: Mapping[str, float],
) -> ExperimentPart:
    """Return what the report of a run shows of its experiment.

    Parameters
    ----------
    store : Store
    run_id, name : str
        Of the run and the experiment.
    decisions : DecisionTable
    outcome : ndarray of shape (n_decisions, n_symbols)
        What the models had been trained to predict; NaN where unknown.
    pnl_by_symbol : mapping of str to float
        Of the portfolio that was traded, after costs, every symbol of the run.
    """
    experiment, found = look(store, name)
    spec, marks, symbols = experiment.spec, store.variant_marks(run_id), store.run(run_id).symbols
    variants = _variants(experiment, symbols, marks, decisions)
    calibrated = calibrations(spec, marks, decisions, outcome)
    grids = [verdict_grid(experiment, found), _figures_grid(found), *_calibration_grids(calibrated)]
    if experiment.shares:
        grids.append(_shares_grid(experiment))
    grids.append(_traded_grid(symbols, variants, pnl_by_symbol))
    return ExperimentPart(tuple(grids), _plots(spec, marks, decisions), variants)


def _variants(
    experiment: Experiment, symbols: Sequence[str], marks: Sequence[VariantMark], decisions: DecisionTable
) -> NDArray[np.int8]:
    """Return whose each symbol was at each decision; shape (n_decisions, n_symbols)."""
    spec, rolled_back_at = experiment.spec, experiment.rolled_back_at
    shares = {mark.seq: mark.share for mark in marks}
    if rolled_back_at is not None:
        shares |= {seq: 0.0 for seq in decisions.seq.tolist() if seq >= rolled_back_at}
    rows: dict[float | None, NDArray[np.int8]] = {}
    for share in {None, *shares.values()}:
        rows[share] = assign(symbols, spec.split if share is None else spec.split.at(share))
    found = [rows[shares.get(seq)] for seq in decisions.seq.tolist()]
    return np.array(found, np.int8).reshape(len(decisions), len(symbols))


def _plots(spec: ExperimentSpec, marks: Sequence[VariantMark], decisions: DecisionTable) -> tuple[Plot, ...]:
    seqs = np.searchsorted(decisions.seq, [mark.seq for mark in marks])
    curves = np.array([(mark.champion, mark.challenger) for mark in marks], np.float64).reshape(-1, 2)
    shares = np.array([np.nan if mark.share is None else mark.share for mark in marks], np.float64)
    returns = (curves[1:] / curves[:-1] - 1.0)[: spec.horizon]
    ts_ns = decisions.ts_ns[seqs]
    evidence = evidence_panel(plan_of(spec), ts_ns[1:], returns[:, 1] - returns[:, 0])
    return (
        make_plot(
            "variants",
            "Champion and challenger",
            "Virtual portfolios that trade each variant's scores for all symbols, after costs.",
            variants_panel(ts_ns, curves[:, 0], curves[:, 1]),
        ),
        make_plot(
            "evidence",
            "Difference per decision",
            f"With an interval that holds over all looks together, {1.0 - spec.alpha:.0%}.",
            evidence,
        ),
        make_plot(
            "traffic",
            "The challenger's share",
            f"Of the symbols that are traded: {schedule_text(spec)}.",
            traffic_panel(ts_ns, shares),
        ),
    )


def verdict_grid(experiment: Experiment, found: Assessment) -> Grid:
    """Return the plan of an experiment, and where it stands."""
    spec = experiment.spec
    bounds = fmt.interval((1e4 * found.low, 1e4 * found.high))
    limits = (
        (each.name.capitalize(), f"{fmt.percent(each.value, 2)} of {fmt.percent(each.limit, 2)} allowed")
        for each in found.guardrails
    )
    return Grid(
        f"{spec.name}: {spec.champion} against {spec.challenger}",
        (
            ("Verdict", f"{found.verdict}: {found.reason}"),
            ("Difference per decision, bp", f"{fmt.number(1e4 * found.estimate)}  {bounds}"),
            ("P-value", fmt.number(found.p_value, 3)),
            ("Judged", f"{spec.stop}, at a level of {spec.alpha:g}, within {fmt.plural(spec.horizon, 'decision')}"),
            *limits,
            ("Traffic", schedule_text(spec)),
            ("Share now", fmt.percent(found.share)),
            ("Sample ratio", str(found.sample_ratio or fmt.DASH)),
            ("Policy", spec.policy + ("" if experiment.proposal is None else "; a promotion is proposed")),
            ("Same sign of scores", fmt.percent(found.sign_agreement)),
            ("Rank correlation of scores", fmt.number(found.rank_correlation)),
        ),
    )


def _figures_grid(found: Assessment) -> Grid:
    champion, challenger = found.champion, found.challenger
    return Grid(
        "Virtual portfolios",
        (
            ("Return", fmt.percent(champion.total_return), fmt.percent(challenger.total_return)),
            ("Deepest drawdown", fmt.percent(champion.drawdown), fmt.percent(challenger.drawdown)),
        ),
        ("", "champion", "challenger"),
    )


def _calibration_grids(calibrated: Mapping[str, ScoreCalibration]) -> tuple[Grid, Grid]:
    slopes = tuple(
        (ref, fmt.number(each.slope), fmt.interval((each.low, each.high)), fmt.count(each.n_pairs))
        for ref, each in calibrated.items()
    )
    bins = tuple(
        (ref, fmt.number(part.score), fmt.number(part.outcome), fmt.interval((part.low, part.high)), str(part.count))
        for ref, each in calibrated.items()
        for part in each.bins
    )
    return (
        Grid("Calibration: outcome per unit of score, ideally 1", slopes, ("", "slope", "95 %", "pairs")),
        Grid("Reliability: what came of scores of a size", bins, ("", "score", "outcome", "95 %", "pairs")),
    )


def _shares_grid(experiment: Experiment) -> Grid:
    rows = (
        (f"{entry.payload['seq']:,}", fmt.percent(entry.payload["share"]), entry.said.why)
        for entry in experiment.shares
    )
    return Grid("The challenger's share", tuple(rows), ("from decision", "share", "why"))


def _traded_grid(symbols: Sequence[str], variants: NDArray[np.int8], pnl_by_symbol: Mapping[str, float]) -> Grid:
    earned: dict[str, list[float]] = {}
    for symbol, own in zip(symbols, variants.T, strict=True):
        held = [_NAMES[code] for code in np.unique(own)]
        earned.setdefault(" and ".join(held), []).append(pnl_by_symbol.get(symbol, 0.0))
    rows = ((name, fmt.count(len(pnl)), fmt.money(sum(pnl), signed=True)) for name, pnl in earned.items())
    return Grid("The traded portfolio by variant", tuple(rows), ("scored by", "symbols", "P&L after costs"))
