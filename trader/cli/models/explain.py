"""`trader models explain`: why a model gives the scores it gives."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.table import Table

from trader.cli.common import ConfigOption, JsonOption, PresetOption, SetOption, err, out, print_json, read_settings
from trader.cli.models.common import StoreOption, open_registry
from trader.cli.run import DataOption, FeedOption, KindOption, MapOption, ZoneOption, comma_list, feed_overrides
from trader.core.errors import UserError

if TYPE_CHECKING:
    from trader.core.protocols import Model
    from trader.explain.explainer import Explainer
    from trader.explain.instant import Instant
    from trader.explain.subject import Subject
    from trader.models.background import Background
    from trader.models.dataset import TrainingSet
    from trader.models.ensemble import Ensemble
    from trader.reporting.explanation_page import ExplanationPage
    from trader.reporting.plots import Plot
    from trader.settings import Settings

__all__ = ["register"]

_FORMATS = (".html", ".png")
_MOST_WINDOWS = 4


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("explain", help=explain.__doc__)(explain)


def explain(
    ref: Annotated[
        str,
        typer.Argument(metavar="REF", help="As for show; or the folder of a saved ensemble or model: runs/…/models."),
    ],
    method: Annotated[
        Literal["shap", "lime", "ig", "attention", "surrogate"],
        typer.Option("--method", help="surrogate explains the whole; ig and attention need a transformer."),
    ] = "shap",
    whole: Annotated[bool, typer.Option("--global", help="Explain the model over all instants, not one.")] = False,
    symbol: Annotated[str | None, typer.Option("--symbol", metavar="A,B", help="All, if none is named.")] = None,
    at: Annotated[str | None, typer.Option("--at", metavar="DATE", help="Last day that is read.")] = None,
    member: Annotated[str | None, typer.Option("--member", help="Of an ensemble; the whole, if none.")] = None,
    top: Annotated[int, typer.Option("--top", min=1, help="Features printed.")] = 8,
    depth: Annotated[int, typer.Option("--depth", min=1, max=8, help="Of the surrogate tree.")] = 3,
    target: Annotated[Path | None, typer.Option("--out", help="Write a page (.html) or a picture (.png).")] = None,
    preset: PresetOption = None,
    data: DataOption = None,
    kind: KindOption = None,
    mapping: MapOption = None,
    zone: ZoneOption = None,
    feed: FeedOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Explain the scores of a model at one instant, or the model as a whole.

    Example: trader models explain boosting@champion --preset demo --symbol AAPL --at 2015-06-30
    """
    if target is not None and target.suffix not in _FORMATS:
        raise UserError(f"--out {target} is not allowed; it must end in {' or '.join(_FORMATS)}")
    overrides = feed_overrides(data=data, kind=kind, mapping=mapping, zone=zone, feed=feed)
    settings = read_settings(preset, config, assignments, overrides | {"store": {"url": store}})
    with err.status("reading the model") as status:
        source, background, name = _source(ref, preset, config, assignments, store)
        past = _past(settings, at, source.feature_names, lambda what, share: status.update(f"{what} {share:.0%}"))
        explainer = _explainer(source, background, past, settings.run.seed, name)
        status.update("explaining")
        if whole and method == "attention":
            raise UserError("--global --method attention is not allowed; attention is that of one instant")
        if whole or method == "surrogate":
            page, facts = _overview(explainer, past, name, method, member, depth, settings.run.seed)
        else:
            page, facts = _instant(explainer, past, name, method, member, comma_list(symbol) or ())
    if target is not None:
        _write(target, page)
    if as_json:
        print_json(facts)
        return
    _show(page, top)
    if target is not None:
        out.print(f"Written to {target}", markup=False, highlight=False, soft_wrap=True)


def _source(
    ref: str, preset: str | None, config: Path | None, assignments: list[str] | None, store: str | None
) -> tuple[Model | Ensemble, Background | None, str]:
    """Return what is explained, the background that travels with it, and its name."""
    from trader.models.artifacts import is_ensemble, load_ensemble
    from trader.models.background import BACKGROUND_FILE, Background
    from trader.models.base import load_model

    folder, name = Path(ref), ref
    if len(folder.parts) > 1 or folder.is_dir():
        if is_ensemble(folder):
            ensemble = load_ensemble(folder)
            return ensemble, ensemble.background, name
    else:
        with open_registry(preset, config, assignments, store) as (registry, _):
            version = registry.resolve(ref)
            folder, name = registry.fetch(version), version.ref
    model = load_model(folder)
    kept = folder / BACKGROUND_FILE
    return model, Background.load(kept) if kept.is_file() else None, name


def _past(settings: Settings, at: str | None, feature_names: tuple[str, ...], progress: Any) -> TrainingSet:
    """Return the data up to the end of a day, in the columns of the model."""
    from trader.engine.training_set import load_past
    from trader.explain.panel import as_model_sees

    models = settings.models.model_copy(update={"train_end": at})
    return as_model_sees(load_past(settings.model_copy(update={"models": models}), progress).data, feature_names)


def _explainer(
    source: Model | Ensemble, background: Background | None, past: TrainingSet, seed: int, name: str
) -> Explainer:
    from trader.explain.explainer import Explainer, ExplainSettings
    from trader.explain.panel import background_of

    kept = background or background_of(past, seed)
    return Explainer(source, kept, settings=ExplainSettings(seed=seed), name=name)


def _instant(
    explainer: Explainer, past: TrainingSet, name: str, method: str, member: str | None, symbols: tuple[str, ...]
) -> tuple[ExplanationPage, dict[str, Any]]:
    from trader.explain.panel import instant_at, positions_of
    from trader.reporting.explanation_page import local_page

    chosen, subject = positions_of(past, symbols), explainer.subject(member)
    instant, ts_ns = instant_at(past, subject.context, chosen)
    named = [past.symbols[at] for at in chosen]
    facts = {"ref": name, "ts_ns": ts_ns}
    if method == "attention":
        from trader.explain.attention import attention_of
        from trader.reporting.attention_page import attention_page

        looked = attention_of(subject, instant)
        page = attention_page(name, looked, past.symbols, ts_ns)
        return page, facts | {"symbols": list(past.symbols)} | looked.to_dict()
    found = explainer.explain(instant, method, member)
    plots = _gradient_plots(subject, instant, past, named) if method == "ig" else ()
    return local_page(name, found, named, ts_ns, plots), facts | {"symbols": named} | found.to_dict()


def _gradient_plots(subject: Subject, instant: Instant, past: TrainingSet, named: list[str]) -> tuple[Plot, ...]:
    """Return the pictures of the first few symbols' windows."""
    from trader.explain.sequence import transformer_of, window_gradients
    from trader.reporting.attention_page import gradient_plots

    model = transformer_of(subject)
    if model is None:
        return ()
    plots: list[Plot] = []
    for symbol in named[:_MOST_WINDOWS]:
        found = window_gradients(subject, model, instant, past.symbols.index(symbol))
        plots += gradient_plots(found, symbol, past.symbols, past.feature_names)
    return tuple(plots)


def _overview(
    explainer: Explainer, past: TrainingSet, name: str, method: str, member: str | None, depth: int, seed: int
) -> tuple[ExplanationPage, dict[str, Any]]:
    from trader.explain.overview import OverviewSize, explain_globally
    from trader.reporting.explanation_page import overview_page

    values = "shap" if method == "surrogate" else method
    found = explain_globally(
        explainer, past, method=values, member=member, size=OverviewSize(max_depth=depth), seed=seed
    )
    return overview_page(name, found), {"ref": name} | found.to_dict()


def _write(target: Path, page: ExplanationPage) -> None:
    content = page.png() if target.suffix == ".png" else page.html().encode()
    try:
        target.write_bytes(content)
    except OSError as error:
        raise UserError(f"--out {target} cannot be written: {error.strerror or error}") from error


def _show(page: ExplanationPage, top: int) -> None:
    out.print(f"{page.title}: {page.subtitle}", markup=False, highlight=False, soft_wrap=True)
    for grid in page.tables(top):
        table = Table(*grid.header, title=grid.title, title_justify="left")
        for row in grid.rows:
            table.add_row(*row)
        out.print(table)
    if page.tree:
        out.print(page.tree, markup=False, highlight=False)
    for finding in page.findings:
        out.print(f"• {finding}", markup=False, highlight=False, soft_wrap=True)
