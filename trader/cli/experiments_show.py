"""`trader experiments status` and `report`: where an experiment stands, in a terminal and as a page."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from trader.cli.common import ConfigOption, JsonOption, PresetOption, SetOption, err, out, print_json, read_settings
from trader.cli.models.common import StoreOption, when

if TYPE_CHECKING:
    from trader.experiments.assess import Assessment
    from trader.experiments.book import Experiment
    from trader.settings import Settings
    from trader.storage import Store
    from trader.validation.score_calibration import ScoreCalibration

__all__ = ["NameArgument", "open_store", "register"]

NameArgument = Annotated[str, typer.Argument(help="Name of the experiment.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("status", help=status.__doc__)(status)
    app.command("report", help=report.__doc__)(report)


def status(
    name: NameArgument,
    preset: PresetOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show where an experiment stands; a sequential one may be looked at as often as one likes.

    Example: trader experiments status fresh-linear
    """
    settings = read_settings(preset, config, assignments, {"store": {"url": store}})
    from trader.experiments.actions import look
    from trader.experiments.calibration import look_at_calibration

    with open_store(settings) as opened:
        experiment, found = look(opened, name)
        calibrated = look_at_calibration(opened, experiment)
    if as_json:
        history = [entry.to_dict() for entry in experiment.entries]
        slopes = {ref: each.to_dict() for ref, each in calibrated.items()}
        print_json({**experiment.to_dict(), "assessment": found.to_dict(), "calibration": slopes, "history": history})
        return
    _show(experiment, found, calibrated)


def report(
    name: NameArgument,
    target: Annotated[Path | None, typer.Option("--out", help="HTML file; experiment-NAME.html if left out.")] = None,
    preset: PresetOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a page of an experiment: verdict, guardrails, plots, the share over time and what was decided.

    Example: trader experiments report fresh-linear --out fresh-linear.html
    """
    settings = read_settings(preset, config, assignments, {"store": {"url": store}})
    from trader.core.errors import UserError
    from trader.reporting.experiment_page import experiment_page

    with open_store(settings) as opened:
        page = experiment_page(opened, name)
    path = target or Path(f"experiment-{name}.html")
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UserError(f"--out {path} cannot be written: {error.strerror}") from error
    if as_json:
        print_json({"name": name, "file": str(path)})
    else:
        err.print(f"{name}: {path}", highlight=False)


@contextlib.contextmanager
def open_store(settings: Settings) -> Iterator[Store]:
    """Give the store of the settings."""
    from trader.storage import Store

    with Store.open(settings.store_url, synchronous=settings.store.synchronous) as opened:
        yield opened


def _show(experiment: Experiment, found: Assessment, calibrated: Mapping[str, ScoreCalibration]) -> None:
    from trader.experiments.wording import schedule_text

    spec = experiment.spec
    share = "shadow" if spec.kind == "shadow" else f"{found.share:.0%} of the symbols"
    err.print(f"{spec.name}: {spec.champion} against {spec.challenger}, {share}, {experiment.phase}", highlight=False)
    table = Table("", "champion", "challenger")
    table.add_row("return", f"{found.champion.total_return:+.2%}", f"{found.challenger.total_return:+.2%}")
    table.add_row("largest drawdown", f"{found.champion.drawdown:.2%}", f"{found.challenger.drawdown:.2%}")
    out.print(table)
    bounds = f"[{found.low * 1e4:.2f}, {found.high * 1e4:.2f}]"
    out.print(f"difference per decision: {found.estimate * 1e4:.2f} {bounds} bp", markup=False, highlight=False)
    agreement = f"same sign {found.sign_agreement:.0%}, rank correlation {found.rank_correlation:.2f}"
    out.print(f"agreement of the scores: {agreement}", highlight=False)
    _show_calibration(calibrated)
    for guardrail in found.guardrails:
        holds = "holds" if guardrail.holds else "BROKEN"
        out.print(f"{guardrail.name}: {guardrail.value:.2%}, at most {guardrail.limit:.2%}: {holds}", highlight=False)
    if spec.kind == "ab":
        out.print(f"share: {schedule_text(spec)}; now {found.share:.1%}", markup=False, highlight=False)
        for entry in experiment.shares:
            change = f"from decision {entry.payload['seq']}: {entry.payload['share']:.1%}; {entry.said.why}"
            out.print(f"  {change}", markup=False, highlight=False)
        out.print(f"sample ratio: {found.sample_ratio or 'not known yet'}", markup=False, highlight=False)
    held = "" if experiment.held is None else f"; held: {experiment.held.said.why}"
    out.print(f"policy: {spec.policy}{held}", markup=False, highlight=False)
    if (proposal := experiment.proposal) is not None:
        said = f"promotion proposed {when(proposal.said.ts_ns)} UTC: {proposal.said.why}"
        out.print(f"{said}; promote or stop it", markup=False, highlight=False)
    out.print(f"verdict after {found.n} decisions: {found.verdict}; {found.reason}", markup=False, highlight=False)


def _show_calibration(calibrated: Mapping[str, ScoreCalibration]) -> None:
    table = Table("calibration", "slope (ideally 1)", "95 %", "pairs", "score → outcome, by fifths of the scores")
    for ref, each in calibrated.items():
        bins = ", ".join(f"{part.score:+.2f} → {part.outcome:+.2f}" for part in each.bins)
        table.add_row(ref, f"{each.slope:.2f}", f"{each.low:.2f} to {each.high:.2f}", f"{each.n_pairs:,}", bins)
    if calibrated:
        out.print(table)
