"""An experiment as one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping

from trader.experiments.actions import look
from trader.experiments.assess import Assessment
from trader.experiments.book import Experiment
from trader.experiments.guardrails import broken_text
from trader.portfolio.trading import pnl_by_symbol
from trader.reporting import formats as fmt
from trader.reporting.experiment import experiment_part, verdict_grid
from trader.reporting.html import template
from trader.reporting.plots import Plot
from trader.reporting.run_data import RunData, read_run
from trader.reporting.sections import Grid
from trader.reporting.signals import signal_quality
from trader.reporting.verdict import Finding, Tone
from trader.storage import Store
from trader.validation.experiments import Verdict

__all__ = ["experiment_page"]

_TONES: Mapping[Verdict, Tone] = {Verdict.PASS: "good", Verdict.FAIL: "bad", Verdict.INCONCLUSIVE: "note"}


def experiment_page(store: Store, name: str) -> str:
    """Return the page of an experiment; before a run has joined it there are no plots.

    Raises
    ------
    NotFoundError
        If it does not exist.
    """
    experiment, found = look(store, name)
    spec = experiment.spec
    grids: tuple[Grid, ...] = (verdict_grid(experiment, found),)
    plots: tuple[Plot, ...] = ()
    if experiment.run_id is not None:
        data = read_run(store, experiment.run_id)
        if len(data.decisions):
            outcome = signal_quality(data).outcome
            part = experiment_part(store, experiment.run_id, name, data.decisions, outcome, _earned(data))
            grids, plots = part.grids, part.plots
    run = f"run {experiment.run_id}" if experiment.run_id else "no run yet"
    return template("experiment.html.j2").render(
        ref=f"{name}: {spec.champion} against {spec.challenger}",
        suspect=False,
        subtitle=f"{experiment.phase.capitalize()}, {run} · registered by {experiment.said.who}: {experiment.said.why}",
        verdict=_findings(experiment, found),
        tiles=_tiles(found),
        plots=plots,
        grids=(*grids, _history(experiment)),
    )


def _findings(experiment: Experiment, found: Assessment) -> list[Finding]:
    findings = [Finding(_TONES[found.verdict], f"{str(found.verdict).capitalize()}: {found.reason}.")]
    if broken := broken_text(found.guardrails):
        findings.append(Finding("bad", f"A guardrail is broken: {broken}."))
    if found.rolled_back_at is not None:
        findings.append(Finding("bad", f"The run rolled the challenger back before decision {found.rolled_back_at:,}."))
    if experiment.proposal is not None:
        findings.append(Finding("note", "The policy proposes to promote the challenger; nobody has answered yet."))
    return findings


def _tiles(found: Assessment) -> list[tuple[str, str, str]]:
    bounds = fmt.interval((1e4 * found.low, 1e4 * found.high))
    ratio = "not known yet" if found.sample_ratio is None else f"p = {found.sample_ratio.p_value:.3g}"
    return [
        ("Verdict", str(found.verdict), fmt.plural(found.n, "decision")),
        ("Difference", fmt.number(1e4 * found.estimate, 2, " bp"), bounds),
        ("Share now", fmt.percent(found.share), f"sample ratio: {ratio}"),
        ("Same sign", fmt.percent(found.sign_agreement), f"rank correlation {fmt.number(found.rank_correlation)}"),
    ]


def _history(experiment: Experiment) -> Grid:
    rows = tuple(
        (fmt.instant(entry.said.ts_ns), entry.said.who, fmt.title(entry.kind).lower(), entry.said.why)
        for entry in experiment.entries
    )
    return Grid("What happened", rows, ("when", "who", "what", "why"))


def _earned(data: RunData) -> dict[str, float]:
    """Return what each symbol of the traded portfolio earned after costs."""
    table = data.decisions
    earned = pnl_by_symbol(data.fills, table.positions[-1], table.prices[-1])
    return dict(zip(data.record.symbols, earned.tolist(), strict=True))
