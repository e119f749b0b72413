"""`trader experiments`: register comparisons, look at them, and act on what they found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from trader.cli.common import ConfigOption, JsonOption, PresetOption, SetOption, err, out, print_json, read_settings
from trader.cli.experiments_show import NameArgument, open_store, register
from trader.cli.models.common import StoreOption, WhoOption, WhyOption, user, when

if TYPE_CHECKING:
    from trader.settings import Settings

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Champion against challenger, with evidence.")
register(app)

ChampionOption = Annotated[str, typer.Option("--champion", metavar="REF", help="A member of the run: linear@1.2.0.")]
ChallengerOption = Annotated[str, typer.Option("--challenger", metavar="REF", help="What takes its place.")]
StopOption = Annotated[str, typer.Option("--stop", help="sequential: may be watched; fixed: judged once, at the end.")]
AlphaOption = Annotated[float, typer.Option("--alpha", help="Chance of a false winner.")]
HorizonOption = Annotated[int, typer.Option("--horizon", help="Decisions after which it ends.")]
SplitOption = Annotated[
    str | None, typer.Option("--split", help="Champion/challenger[/holdout] in per cent of symbols; 90/10 if left out.")
]
RampOption = Annotated[str | None, typer.Option("--ramp", help="Steps of the challenger's share: 10,50,100.")]
CanaryOption = Annotated[float | None, typer.Option("--canary", metavar="PERCENT", help="A small share for good.")]
ThompsonOption = Annotated[
    float | None, typer.Option("--thompson", metavar="PERCENT", help="Share by Thompson sampling; the least of either.")
]
GateOption = Annotated[int, typer.Option("--gate-every", help="Decisions between changes of the share.")]
MarginOption = Annotated[
    float | None,
    typer.Option("--gate-margin", metavar="BP", help="A ramp rises only if shown to lose less per decision."),
]
SeedOption = Annotated[int, typer.Option("--seed", help="Of Thompson sampling.")]
PolicyOption = Annotated[str, typer.Option("--policy", help="Who promotes: manual, propose or auto.")]
CooldownOption = Annotated[float, typer.Option("--cooldown", metavar="S", help="Seconds between promotions by auto.")]


@app.command()
def start(
    name: NameArgument,
    champion: ChampionOption,
    challenger: ChallengerOption,
    why: WhyOption,
    split: SplitOption = None,
    ramp: RampOption = None,
    canary: CanaryOption = None,
    thompson: ThompsonOption = None,
    gate_every: GateOption = 100,
    gate_margin: MarginOption = None,
    seed: SeedOption = 0,
    policy: PolicyOption = "manual",
    cooldown: CooldownOption = 86_400.0,
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

    Whatever the share, a challenger that breaks a guardrail loses it for good.

    Example: trader experiments start fresh --champion linear@1.0.0 --challenger linear@1.1.0 --ramp 10,50,100 --why new
    """
    from trader.experiments.shares import traffic_fields

    fields = {
        **traffic_fields(split, ramp, canary, thompson),
        "gate_every": gate_every,
        "gate_margin": None if gate_margin is None else gate_margin * 1e-4,
        "seed": seed,
        "policy": policy,
        "cooldown_s": cooldown,
        "metric": metric,
        "stop": stop,
        "alpha": alpha,
        "horizon": horizon,
    }
    settings = read_settings(preset, config, assignments, {"store": {"url": store}})
    _register(settings, name, (champion, challenger), fields, (user(who), why), as_json)


@app.command()
def shadow(
    name: NameArgument,
    champion: ChampionOption,
    challenger: ChallengerOption,
    why: WhyOption,
    policy: PolicyOption = "manual",
    min_agreement: Annotated[
        float, typer.Option("--min-agreement", metavar="PERCENT", help="Equal signs that a proposal needs.")
    ] = 50.0,
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
    from trader.experiments.shares import parse_percent

    fields = {
        "kind": "shadow",
        "challenger_share": 0.0,
        "policy": policy,
        "min_agreement": parse_percent("min_agreement", min_agreement),
        "stop": stop,
        "alpha": alpha,
        "horizon": horizon,
    }
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

    with open_store(settings) as opened:
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

    with open_store(settings) as opened:
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

    with open_store(settings) as opened:
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

    with open_store(settings) as opened:
        found = act(opened, name, who=user(who), why=why)
    if as_json:
        print_json({"name": name, "phase": "stopped", "assessment": found.to_dict()})
    else:
        err.print(f"{name}: stopped, {found.verdict}: {found.reason}", highlight=False)


@app.command()
def decide(
    name: NameArgument,
    preset: PresetOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let the policy that was registered act now, as it does at the end of a run; what it says is kept.

    Example: trader experiments decide fresh-linear
    """
    settings = read_settings(preset, config, assignments, {"store": {"url": store}})
    from trader.experiments.actions import apply_policy

    with open_store(settings) as opened:
        ruling = apply_policy(opened, settings.registry, name)
    if as_json:
        print_json({"name": name, "action": ruling.action, "reason": ruling.reason})
    else:
        err.print(f"{name}: {ruling.action}; {ruling.reason}", markup=False, highlight=False)


def _register(
    settings: Settings, name: str, refs: tuple[str, str], fields: dict[str, Any], said: tuple[str, str], as_json: bool
) -> None:
    from trader.experiments.actions import register

    with open_store(settings) as opened:
        spec = register(opened, settings.registry, name, *refs, fields, who=said[0], why=said[1])
    if as_json:
        print_json(spec.to_dict())
        return
    err.print(f"{spec.name}: {spec.champion} against {spec.challenger}, {spec.kind}, registered", highlight=False)
    err.print(f"Run it with: trader run --members …,{spec.champion} --experiment {spec.name}", highlight=False)


def _print_move(name: str, what: str, move: Any, as_json: bool) -> None:
    if as_json:
        print_json({"name": name, "phase": what, "model": move.name, "before": move.before, "after": move.after})
        return
    err.print(f"{name}: {what}; {move.name} champion {move.before or '-'} → {move.after or '-'}", highlight=False)
