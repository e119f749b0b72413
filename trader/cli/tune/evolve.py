"""`trader tune evolve`."""

from __future__ import annotations

from typing import Annotated

import typer

from trader.cli.common import ConfigOption, JsonOption, SetOption, read_settings
from trader.cli.run import (
    BarsOption,
    DataOption,
    EndOption,
    FeedOption,
    KindOption,
    MapOption,
    RunsDirOption,
    SeedOption,
    StartOption,
    SymbolsOption,
    TrainEndOption,
    ZoneOption,
    feed_overrides,
)
from trader.cli.tune.common import (
    CpusOption,
    NameOption,
    ResumeOption,
    SizeOption,
    cluster,
    data_preset,
    finish,
    go_on,
    hooks,
)

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("evolve", help=evolve.__doc__)(evolve)


def evolve(
    generations: Annotated[int, typer.Option("--generations", help="How many.")] = 8,
    population: Annotated[int, typer.Option("--population", help="Strategies of a generation.")] = 16,
    share: Annotated[
        float, typer.Option("--share", help="Of the training span to learn from; the rest is traded.")
    ] = 0.6,
    cpus: CpusOption = 1.0,
    name: NameOption = None,
    resume: ResumeOption = None,
    preset: SizeOption = None,
    config: ConfigOption = None,
    data: DataOption = None,
    kind: KindOption = None,
    mapping: MapOption = None,
    zone: ZoneOption = None,
    feed: FeedOption = None,
    symbols: SymbolsOption = None,
    start: StartOption = None,
    end: EndOption = None,
    train_end: TrainEndOption = None,
    bars: BarsOption = None,
    seed: SeedOption = None,
    runs_dir: RunsDirOption = None,
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Evolve strategies: features, horizon, model, sizing and thresholds, by backtests inside the training span.

    The best is written as settings: trader run --config runs/searches/NAME/best.yaml

    Example: trader tune evolve --generations 8 --population 16
    """
    overrides = feed_overrides(
        data=data, kind=kind, mapping=mapping, zone=zone, feed=feed, symbols=symbols, start=start, end=end, bars=bars
    ) | {"run": {"seed": seed, "runs_dir": runs_dir}, "models": {"train_end": train_end}}
    settings = read_settings(data_preset(preset, config, data, feed), config, assignments, overrides)
    if resume is not None:
        go_on(settings, resume, as_json=as_json)
        return
    from tune.evolve import EvolveSpec
    from tune.session import evolve as run_evolve
    from tune.spec import new_name

    spec = EvolveSpec(
        name=name or new_name("evolve"),
        population=population,
        generations=generations,
        seed=settings.run.seed,
        share=share,
        cpus_per_trial=cpus,
    )
    with cluster(settings):
        outcome = run_evolve(settings, spec, hooks=hooks())
    finish(outcome, as_json=as_json)
