"""`trader models train`: validate a model walk-forward, fit it, and register the result."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from trader.cli.common import ConfigOption, JsonOption, SetOption, err, parse_literal, print_json, read_settings
from trader.cli.models.common import StoreOption, WhoOption, step_text, user
from trader.cli.run import DataOption, FeedOption, KindOption, MapOption, SymbolsOption, ZoneOption, feed_overrides
from trader.core.errors import UserError
from trader.settings import Settings

if TYPE_CHECKING:
    from trader.engine.evaluation import SignalEvaluation
    from trader.registry import ModelVersion
    from trader.reporting.live import LiveView

__all__ = ["register"]

_PRESET_CONFIG = {"ci": "ci", "demo": "demo", "full": "demo"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("train", help=train.__doc__)(train)


def train(
    kind: Annotated[str, typer.Argument(help="transformer, boosting, linear, … An unknown one lists them all.")],
    preset: Annotated[
        str, typer.Option("--preset", help="Size of the model: ci, demo or full; and the data, if none are given.")
    ] = "demo",
    name: Annotated[str | None, typer.Option("--name", help="Of the model in the registry; its kind if left out.")] = (
        None
    ),
    params: Annotated[
        list[str] | None,
        typer.Option("--param", metavar="NAME=VALUE", help="A hyperparameter in place of the preset's."),
    ] = None,
    gpu: Annotated[
        Literal["auto", "on", "off"], typer.Option("--gpu", help="auto takes one where there is one.")
    ] = "auto",
    panel: Annotated[
        Path | None,
        typer.Option("--panel", metavar="DIR", help="Learn from the files of `trader data panel`: transformer only."),
    ] = None,
    workers: Annotated[int, typer.Option("--workers", help="Processes that learn together; with --panel.")] = 1,
    ray: Annotated[
        str,
        typer.Option(
            "--ray", metavar="auto|off|ADDRESS", help="auto: on the cluster of ray.address for more than one worker."
        ),
    ] = "auto",
    test_fraction: Annotated[
        float, typer.Option("--test-fraction", help="Share of a panel's instants, from its end, to be judged by.")
    ] = 0.2,
    data: DataOption = None,
    data_kind: KindOption = None,
    mapping: MapOption = None,
    zone: ZoneOption = None,
    feed: FeedOption = None,
    symbols: SymbolsOption = None,
    train_end: Annotated[str | None, typer.Option("--train-end", help="Last day that training may see.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Every random number follows from it.")] = None,
    why: Annotated[str, typer.Option("--why", help="Kept with the version.")] = "trained from the command line",
    who: WhoOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a model and register it in STAGING, with a report of what it is worth out of sample and after costs.

    From panel files, with --panel, it learns without holding them in memory, and is judged by their end; nothing is
    traded then.

    Example: trader models train boosting --preset demo --param n_trees=100
    """
    hyperparameters = _hyperparameters(kind, preset, params or [], gpu)
    overrides = feed_overrides(data=data, kind=data_kind, mapping=mapping, zone=zone, feed=feed, symbols=symbols)
    own_data = data is not None or config is not None or panel is not None
    settings = read_settings(
        None if own_data else _PRESET_CONFIG[preset],
        config,
        assignments,
        overrides | {"models": {"train_end": train_end}, "run": {"seed": seed}, "store": {"url": store}},
    )
    said = _Said(name, user(who), why)
    if panel is None:
        if workers != 1 or ray != "auto":
            raise UserError("--workers and --ray need --panel: the files that workers share")
        found = _train_in_memory(kind, hyperparameters, settings, said)
    else:
        if any(given is not None for given in (data, feed, symbols, train_end)):
            raise UserError("--panel is all the data there is; leave out --data, --feed, --symbols and --train-end")
        from trader.cli.models.train_panel import PanelRequest, train_from_panel

        request = PanelRequest(panel, workers, ray, test_fraction)
        found = train_from_panel(kind, hyperparameters, request, settings, name=name, who=said.who, why=why)
    version, evaluation, page = found
    if as_json:
        print_json({"version": version.to_dict(), "report": evaluation.to_dict(), "page": page})
    else:
        _show(version, evaluation.to_dict(), page)


@dataclasses.dataclass(frozen=True, slots=True)
class _Said:
    """What is kept with a version."""

    name: str | None
    who: str
    why: str


def _train_in_memory(
    kind: str, params: dict[str, Any], settings: Settings, said: _Said
) -> tuple[ModelVersion, SignalEvaluation, Path]:
    from trader.engine.evaluation import evaluate
    from trader.engine.registration import REPORT_FILE, previous_trials, register_candidate
    from trader.engine.training_set import load_past
    from trader.models.candidate import train_candidate
    from trader.registry import Registry
    from trader.reporting.live import LiveView
    from trader.storage import Store

    with LiveView(err) as view:
        past = load_past(settings, view.progress)
        with Store.open(settings.store_url, synchronous=settings.store.synchronous) as opened:
            registry = Registry.of(opened, settings.registry)
            candidate = train_candidate(
                past.data,
                kind,
                params,
                settings=past.settings.models,
                seed=past.settings.run.seed,
                monitor=_monitor(view),
                on_progress=lambda stage, share: view.progress(f"training {kind}: {stage}", share),
            )
            view.progress("trading what it said out of sample", 0.0)
            n_trials = 1 + previous_trials(registry, said.name or kind, past.data.fingerprint)
            evaluation = evaluate(candidate, past, n_trials=n_trials)
            version = register_candidate(
                registry, candidate, evaluation, past, name=said.name, who=said.who, why=said.why
            )
            return version, evaluation, registry.fetch(version) / REPORT_FILE


def _hyperparameters(kind: str, preset: str, params: list[str], gpu: str) -> dict[str, Any]:
    from trader.models.kinds import create, model_class
    from trader.models.kinds import preset as preset_of

    chosen = preset_of(kind, preset)
    for text in params:
        key, equals, value = text.partition("=")
        if not (equals and key.strip()):
            raise UserError(f"--param {text!r} is not of the form name=value")
        chosen[key.strip()] = parse_literal(value)
    if "device" in inspect.signature(model_class(kind)).parameters and "device" not in chosen:
        chosen["device"] = {"auto": "auto", "on": "cuda", "off": "cpu"}[gpu]
    elif gpu == "on":
        raise UserError(f"--gpu on: model {kind!r} runs on the CPU only")
    create(kind, **chosen)
    return chosen


def _monitor(view: LiveView) -> Any:
    def watch(step: int, total: int, metrics: Mapping[str, float]) -> bool:
        view.progress("last fit", step / total, step_text(metrics))
        return True

    return watch


def _show(version: ModelVersion, report: Mapping[str, Any], page: Path) -> None:
    from rich.table import Table

    from trader.reporting.model_page import model_findings

    table = Table("metric", "out of sample", show_header=False, box=None)
    for name, value in version.metrics.items():
        if not name.endswith(("_low", "_high")):
            ends = version.metrics.get(f"{name}_low"), version.metrics.get(f"{name}_high")
            between = f"95 %: {ends[0]:.4f} to {ends[1]:.4f}" if ends[0] is not None and ends[1] is not None else ""
            table.add_row(name, f"{value:.4f}", between)
    err.print(table)
    for finding in model_findings(report):
        err.print(f"• {finding}", markup=False, highlight=False)
    err.print(f"Registered {version.ref}, {version.state}", markup=False, highlight=False)
    err.print(f"Report: {page}", markup=False, highlight=False, soft_wrap=True)
