"""Everything before the first decision: data, quality, training, and the run's record in the store."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader import __version__
from trader.core.errors import DataError
from trader.core.protocols import Feed
from trader.data.feeds import open_feed
from trader.data.quality import QualityReport
from trader.engine.challenger import challenger_ensemble, load_challenger, planned_experiment
from trader.engine.history import FeatureSchema, feature_schema, feed_quality, read_bars, whole_shard
from trader.engine.holdings import with_options
from trader.engine.members import check_features, registered_members
from trader.engine.plan import RunPlan, make_plan
from trader.engine.training_set import read_past, with_annual_scale
from trader.experiments.book import ExperimentBook
from trader.models.artifacts import load_ensemble, save_ensemble
from trader.models.ensemble import Ensemble
from trader.models.training import train_ensemble
from trader.settings import Settings
from trader.storage import RunMode, RunRecord, Store

__all__ = ["Prepared", "Progress", "prepare_resume", "prepare_run", "record_run"]

Progress = Callable[[str, float], None]
"""Told the stage and the share of it that is done."""


@dataclasses.dataclass(frozen=True, slots=True)
class Prepared:
    """A run that is ready to trade: the ensemble is on disk, the run in the store."""

    plan: RunPlan
    feed: Feed
    schema: FeatureSchema
    member_names: tuple[str, ...]
    quality: QualityReport | None
    training: Mapping[str, Any] | None

    def extras(self) -> dict[str, Any]:
        """Return what the report shows beside the store's content."""
        return {
            "training": self.training,
            "quality": None if self.quality is None else self.quality.to_dict(),
            "features_left_out": dict(self.schema.left_out),
        }


def prepare_run(
    settings: Settings,
    store: Store,
    *,
    mode: RunMode,
    run_id: str | None = None,
    on_progress: Progress | None = None,
    transform_target: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None = None,
) -> Prepared:
    """Open the feed, look at its quality, train (or load) the ensemble and create the run.

    `transform_target` is applied to the labels before anything is learnt from them; the guards shuffle them.

    Raises
    ------
    UserError
        If data, dates or models named by the settings cannot be used.
    """
    report = on_progress or (lambda _stage, _share: None)
    report("loading data", 0.0)
    experiment = planned_experiment(settings, store)
    feed = open_feed(settings.feed, seed=settings.run.seed)
    plan = make_plan(settings, feed.info, mode=mode, run_id=run_id)
    if plan.settings.feed != settings.feed:
        feed = open_feed(plan.settings.feed, seed=settings.run.seed)
    settings = with_options(plan.settings, plan.start_ns)
    plan = dataclasses.replace(plan, settings=settings)
    is_live = feed.info.span_ns is None
    quality = None if is_live else feed_quality(feed, settings)
    report("loading data", 1.0)
    folder = settings.models.load_from
    challenger: Ensemble | None = None
    if folder is None:
        past = read_past(feed, settings, plan.train_end_ns, report, transform_target)
        schema = past.schema
        members = registered_members(past.settings, store, feature_names=schema.names, start_ns=plan.start_ns)
        settings = members.settings
        plan = dataclasses.replace(plan, settings=settings)
        rival = None
        if experiment is not None:
            rival = load_challenger(settings, store, experiment, feature_names=schema.names, start_ns=plan.start_ns)
        trained = train_ensemble(
            past.data,
            settings=settings.models,
            seed=settings.run.seed,
            registered=members.models,
            on_progress=report,
        )
        ensemble = trained.ensemble
        if rival is not None:
            challenger = challenger_ensemble(rival, ensemble, past.data)
        training: dict[str, Any] | None = trained.report.to_dict()
        save_ensemble(ensemble, plan.model_dir, {"training": training, "data": feed.info.fingerprint})
    else:
        schema = feature_schema(whole_shard(feed, settings), len(feed.info.universe))
        if not is_live:
            settings = with_annual_scale(settings, np.unique(read_bars(feed, settings).ts_ns))
        models = settings.models.model_copy(update={"load_from": folder.resolve()})
        settings = settings.model_copy(update={"models": models})
        plan = dataclasses.replace(plan, settings=settings)
        ensemble = load_ensemble(plan.model_dir)
        check_features(f"the ensemble in {plan.model_dir}", ensemble.feature_names, schema.names)
        training = None
    names = tuple(ensemble.members)
    if challenger is not None:
        save_ensemble(challenger, plan.challenger_dir, {"data": feed.info.fingerprint})
        names = tuple(dict.fromkeys((*names, *challenger.members)))
    prepared = Prepared(plan, feed, schema, names, quality, training)
    record_run(prepared, store)
    if challenger is not None:
        ExperimentBook(store).join(settings.experiment.name, plan.run_id)
    return prepared


def prepare_resume(settings: Settings, store: Store, run_id: str) -> Prepared:
    """Open again what an unfinished run was made of.

    Settings that shape decisions are those the run began with; where things run (`ray`, `serve`, `store`,
    `telemetry`) is taken from `settings`.

    Raises
    ------
    NotFoundError
        If the store has no such run.
    DataError
        If the data are not those the run began with.
    """
    record = store.run(run_id)
    kept = Settings.model_validate(
        dict(record.settings) | {name: getattr(settings, name) for name in ("ray", "serve", "store", "telemetry")}
    )
    kept = kept.model_copy(update={"run": kept.run.model_copy(update={"runs_dir": settings.run.runs_dir})})
    feed = open_feed(kept.feed, seed=kept.run.seed)
    if feed.info.fingerprint != record.data_fingerprint:
        raise DataError(f"run {run_id} began on data {record.data_fingerprint[:12]}, now {feed.info.fingerprint[:12]}")
    plan = make_plan(kept, feed.info, mode=record.mode, run_id=run_id)
    schema = feature_schema(whole_shard(feed, kept), len(feed.info.universe))
    extra = record.extra
    quality = None if feed.info.span_ns is None else feed_quality(feed, kept)
    return Prepared(plan, feed, schema, record.member_names, quality, extra.get("training"))


def record_run(prepared: Prepared, store: Store) -> None:
    """Create the run in the store."""
    plan = prepared.plan
    record = RunRecord(
        run_id=plan.run_id,
        mode=plan.mode,
        status="running",
        created_ns=time.time_ns(),
        ended_ns=None,
        seed=plan.settings.run.seed,
        symbols=plan.info.universe.symbols,
        settings=plan.settings.model_dump(mode="json"),
        data_fingerprint=plan.info.fingerprint,
        code_version=__version__,
        feature_names=prepared.schema.names,
        member_names=prepared.member_names,
        extra={"training": prepared.training, "features_left_out": dict(prepared.schema.left_out)},
    )
    store.create_run(record)
