"""`trader experiments`: register comparisons, look at them, and act on what they found."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from trader.cli.common import ConfigOption, JsonOption, PresetOption, SetOption, err, out, print_json, read_settings
from trader.cli.models.common import StoreOption, WhoOption, WhyOption, user, when

if TYPE_CHECKING:
    from trader.experiments.assess import Assessment
    from trader.experiments.book import Experiment
    from trader.settings import Settings
    from trader.storage import Store

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Champion against challenger, with evidence.")

NameArgument = Annotated[str, typer.Argument(help="Name of the experiment.")]
ChampionOption = Annotated[str, typer.Option("--champion", metavar="REF", help="A member of the run: linear@1.2.0.")]
ChallengerOption = Annotated[str, typer.Option("--challenger", metavar="REF", help="What takes its place.")]
SplitOption = Annotated[str, typer.Option("--split", help="Champion/challenger[/holdout], in per cent of the symbols.")]
MetricOption = Annotated[str, typer.Option("--metric", help="pnl: return per decision after costs.")]
StopOption = Annotated[str, typer.Option("--stop", help="sequential: may be watched; fixed: judged once, at the end.")]
AlphaOption = Annotated[float, typer.Option("--alpha", help="Chance of a false winner.")]
HorizonOption = Annotated[int, typer.Option("--horizon", help="Decisions after which it ends.")]


@app.command()
def start(
    name: NameArgument,
    champion: ChampionOption,
    challenger: ChallengerOption,
    why: WhyOption,
    split: Annotated[
        str, typer.Option("--split", help="Champion/challenger[/holdout] in per cent of symbols.")
    ] = "90/10",
    metric: Annotated[str, typer.Option("--metric", help="pnl: return per decision after costs.")] = "pnl",
    stop: StopOption = "sequential",
    alpha: AlphaOption = 0.05,
    horizon: HorizonOption = 1000,
    who: WhoOption = None,
    preset: PresetOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register an A/B test: the challenger's scores are traded for its share of the symbols.

    Example: trader experiments start fresh-linear --champion linear@1.0.0 --challenger linear@1.1.0 --why "retrained"
    """
    from trader.experiments.spec import parse_split

    share, holdout = parse_split(split)
    fields = {"kind": "ab", "challenger_share": share, "holdout": holdout, "metric": metric, "stop": stop}
    settings = read_settings(preset, config, assignments, {"store": {"url": store}})
    refs = (champion, challenger)
    _register(settings, name, refs, {**fields, "alpha": alpha, "horizon": horizon}, (user(who), why), as_json)


@app.command()
def shadow(
    name: NameArgument,
    champion: ChampionOption,
    challenger: ChallengerOption,
    why: WhyOption,
    stop: StopOption = "sequential",
    alpha: AlphaOption = 0.05,
    horizon: HorizonOption = 1000,
    who: WhoOption = None,
    preset: PresetOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register a shadow: its scores are never traded but in a virtual portfolio.

    Example: trader experiments shadow deep --champion linear@1.0.0 --challenger transformer@1.0.0 --why "any better?"
    """
    fields = {"kind": "shadow", "challenger_share": 0.0, "stop": stop, "alpha": alpha, "horizon": horizon}
    settings = read_settings(preset, config, assignments, {"store": {"url": store}})
    _register(settings, name, (champion, challenger), fields, (user(who), why), as_json)


@app.command("list")
def list_(
    preset: PresetOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """List all experiments.

    Example: trader experiments list --json
    """
    settings = read_settings(preset, config, assignments, {"store": {"url": store}})
    from trader.experiments.book import ExperimentBook

    with _store(settings) as opened:
        found = ExperimentBook(opened).all()
    if as_json:
        print_json([each.to_dict() for each in found])
        return
    table = Table("experiment", "kind", "champion", "challenger", "share", "phase", "run", "registered (UTC)", "by")
    for each in found:
        spec = each.spec
        share = f"{spec.challenger_share:.0%}"
        registered = when(each.said.ts_ns)
        row = (spec.name, spec.kind, spec.champion, spec.challenger, share, each.phase, each.run_id or "-")
        table.add_row(*row, registered, each.said.who)
    out.print(table)


@app.command()
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

    with _store(settings) as opened:
        experiment, found = look(opened, name)
    if as_json:
        history = [entry.to_dict() for entry in experiment.entries]
        print_json({**experiment.to_dict(), "assessment": found.to_dict(), "history": history})
        return
    _show(experiment, found)


@app.command()
def promote(
    name: NameArgument,
    why: WhyOption,
    force: Annotated[bool, typer.Option("--force", help="Without a verdict of pass; kept on record.")] = False,
    who: WhoOption = None,
    preset: PresetOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the challenger champion of its model in the registry, if the experiment passed.

    Example: trader experiments promote fresh-linear --why "passed, turnover unchanged"
    """
    settings = read_settings(preset, config, assignments, {"store": {"url": store}})
    from trader.experiments.actions import promote as act

    with _store(settings) as opened:
        move = act(opened, settings.registry, name, who=user(who), why=why, force=force)
    _print_move(name, "promoted", move, as_json)


@app.command()
def rollback(
    name: NameArgument,
    why: WhyOption,
    who: WhoOption = None,
    preset: PresetOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a promotion back: the champion before it is champion again.

    Example: trader experiments rollback fresh-linear --why "drawdown since the promotion"
    """
    settings = read_settings(preset, config, assignments, {"store": {"url": store}})
    from trader.experiments.actions import rollback as act

    with _store(settings) as opened:
        move = act(opened, settings.registry, name, who=user(who), why=why)
    _print_move(name, "rolled back", move, as_json)


@app.command()
def stop(
    name: NameArgument,
    why: WhyOption,
    who: WhoOption = None,
    preset: PresetOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """End an experiment for good, with what is known of it; no run can join it any more.

    Example: trader experiments stop fresh-linear --why "wrong features"
    """
    settings = read_settings(preset, config, assignments, {"store": {"url": store}})
    from trader.experiments.actions import stop as act

    with _store(settings) as opened:
        found = act(opened, name, who=user(who), why=why)
    if as_json:
        print_json({"name": name, "phase": "stopped", "assessment": found.to_dict()})
    else:
        err.print(f"{name}: stopped, {found.verdict}: {found.reason}", highlight=False)


@contextlib.contextmanager
def _store(settings: Settings) -> Iterator[Store]:
    from trader.storage import Store

    with Store.open(settings.store_url, synchronous=settings.store.synchronous) as opened:
        yield opened


def _register(
    settings: Settings, name: str, refs: tuple[str, str], fields: dict[str, Any], said: tuple[str, str], as_json: bool
) -> None:
    from trader.experiments.actions import register

    with _store(settings) as opened:
        spec = register(opened, settings.registry, name, *refs, fields, who=said[0], why=said[1])
    if as_json:
        print_json(spec.to_dict())
        return
    err.print(f"{spec.name}: {spec.champion} against {spec.challenger}, {spec.kind}, registered", highlight=False)
    err.print(f"Run it with: trader run --members …,{spec.champion} --experiment {spec.name}", highlight=False)


def _show(experiment: Experiment, found: Assessment) -> None:
    spec = experiment.spec
    share = "shadow" if spec.kind == "shadow" else f"{spec.challenger_share:.0%} of the symbols"
    err.print(f"{spec.name}: {spec.champion} against {spec.challenger}, {share}, {experiment.phase}", highlight=False)
    table = Table("", "champion", "challenger")
    table.add_row("return", f"{found.champion.total_return:+.2%}", f"{found.challenger.total_return:+.2%}")
    table.add_row("largest drawdown", f"{found.champion.drawdown:.2%}", f"{found.challenger.drawdown:.2%}")
    out.print(table)
    bounds = f"[{found.low * 1e4:.2f}, {found.high * 1e4:.2f}]"
    out.print(f"difference per decision: {found.estimate * 1e4:.2f} {bounds} bp", markup=False, highlight=False)
    agreement = f"same sign {found.sign_agreement:.0%}, rank correlation {found.rank_correlation:.2f}"
    out.print(f"agreement of the scores: {agreement}", highlight=False)
    for guardrail in found.guardrails:
        holds = "holds" if guardrail.holds else "BROKEN"
        out.print(f"{guardrail.name}: {guardrail.value:.2%}, at most {guardrail.limit:.2%}: {holds}", highlight=False)
    out.print(f"verdict after {found.n} decisions: {found.verdict}; {found.reason}", markup=False, highlight=False)


def _print_move(name: str, what: str, move: Any, as_json: bool) -> None:
    if as_json:
        print_json({"name": name, "phase": what, "model": move.name, "before": move.before, "after": move.after})
        return
    err.print(f"{name}: {what}; {move.name} champion {move.before or '-'} → {move.after or '-'}", highlight=False)
