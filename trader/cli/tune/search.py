"""`trader tune search`."""

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
    split_assignments,
)
from trader.core.errors import UserError

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("search", help=search.__doc__)(search)


def search(
    model: Annotated[str | None, typer.Option("--model", help="Kind of model, e.g. boosting or transformer.")] = None,
    trials: Annotated[int, typer.Option("--trials", help="How many to try; with pbt, the population.")] = 20,
    scheduler: Annotated[str, typer.Option("--scheduler", help="asha, pbt or none.")] = "asha",
    searcher: Annotated[str, typer.Option("--searcher", help="optuna or random.")] = "optuna",
    metric: Annotated[str, typer.Option("--metric", help="ic (the default) or loss.")] = "ic",
    gpus: Annotated[float, typer.Option("--gpus-per-trial", help="Fractions share a device, e.g. .25.")] = 0.0,
    cpus: CpusOption = 1.0,
    concurrent: Annotated[int, typer.Option("--concurrent", help="Trials at once; 0 fills the cluster.")] = 0,
    register: Annotated[bool, typer.Option(help="Train the winner and add it to the registry.")] = True,
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
    """Search the hyperparameters of a model by walk-forward validation inside the training span.

    `--set section.field=value` changes a setting, `--set name=value` holds a hyperparameter.

    Example: trader tune search --model boosting --trials 50 --scheduler asha --searcher optuna
    """
    sections, fixed = split_assignments(assignments)
    overrides = feed_overrides(
        data=data, kind=kind, mapping=mapping, zone=zone, feed=feed, symbols=symbols, start=start, end=end, bars=bars
    ) | {"run": {"seed": seed, "runs_dir": runs_dir}, "models": {"train_end": train_end}}
    settings = read_settings(data_preset(preset, config, data, feed), config, sections, overrides)
    if resume is not None:
        go_on(settings, resume, as_json=as_json)
        return
    if model is None:
        raise UserError("--model is missing; name a kind of model, or --resume a search")
    from tune.session import search as run_search
    from tune.spec import SearchSpec, new_name

    spec = SearchSpec(
        name=name or new_name(model),
        model=model,
        preset=preset or "demo",
        trials=trials,
        scheduler=scheduler,  # type: ignore[arg-type]  # checked by the spec
        searcher=searcher,
        metric=metric,  # type: ignore[arg-type]  # checked by the spec
        seed=settings.run.seed,
        fixed=fixed,
        concurrent=concurrent,
        cpus_per_trial=cpus,
        gpus_per_trial=gpus,
    )
    with cluster(settings):
        outcome = run_search(settings, spec, register=register, hooks=hooks())
    finish(outcome, as_json=as_json)
