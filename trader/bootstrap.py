"""The only place that wires everything: settings in, a traded and reported run out."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trader.core.errors import NotFoundError, TraderError, UserError
from trader.data.datasets import benchmark_for
from trader.engine.backtest import run_backtest
from trader.engine.plan import RunPlan, new_run_id
from trader.engine.prepare import Prepared, Progress, prepare_resume, prepare_run
from trader.reporting.files import mark_incomplete, write_run
from trader.reporting.status import RunStatus
from trader.reporting.summary import Summary
from trader.settings import Settings
from trader.storage import FinalStatus, RunMode, Store
from trader.telemetry.log import LogConfig, configure_logging, get_logger

if TYPE_CHECKING:
    from serve.plan import Serving
    from trader.runtime.session import Session

__all__ = ["Endpoints", "Hooks", "backtest", "read_session", "report", "session_file", "trade"]


@dataclasses.dataclass(frozen=True, slots=True)
class Endpoints:
    """Where people can look while a run trades."""

    run_id: str
    run_dir: Path
    address: str
    auth_mode: str
    dashboard_url: str | None
    http_url: str


@dataclasses.dataclass(frozen=True, slots=True)
class Hooks:
    """What the caller wants to be told and asked during a run; the defaults listen to nothing."""

    on_progress: Progress | None = None
    on_prepared: Callable[[Prepared], None] | None = None
    on_endpoints: Callable[[Endpoints], None] | None = None
    on_status: Callable[[RunStatus], None] | None = None
    should_stop: Callable[[], bool] = lambda: False
    wait_after: Callable[[], None] | None = None
    """Called with cluster and HTTP still up when the run is over."""


def backtest(settings: Settings, hooks: Hooks | None = None) -> Summary:
    """Train, trade in this process, and report.

    Raises
    ------
    TraderError
        On bad input or failed work; the run directory is then marked incomplete.
    """
    hooks = hooks or Hooks()
    with _open_store(settings, synchronous="normal") as store, _run(settings, store, "backtest", None, hooks) as run:
        finished = run_backtest(run, store, on_status=hooks.on_status, should_stop=hooks.should_stop)
        return _finish(run, store, "complete" if finished else "incomplete", hooks)


def trade(settings: Settings, *, resume: str | None = None, hooks: Hooks | None = None) -> Summary:
    """Train, serve and trade on a Ray cluster, and report; or go on with an unfinished run.

    Raises
    ------
    TraderError
        On bad input or failed work; the run directory is then marked incomplete.
    """
    hooks = hooks or Hooks()
    with _open_store(settings, synchronous=settings.store.synchronous) as store:
        if resume is not None and store.run(resume).status == "complete":
            raise UserError(f"run {resume} is complete; there is nothing to resume")
        with _run(settings, store, "run", resume, hooks) as run, _session(run, store, hooks) as session:
            finished = session.run(hooks.on_status, hooks.should_stop)
            summary = _finish(run, store, "complete" if finished else "incomplete", hooks)
            if hooks.wait_after is not None:
                hooks.wait_after()
            return summary


@contextmanager
def _session(run: Prepared, store: Store, hooks: Hooks) -> Iterator[Session]:
    """Start the cluster, Serve and the actors of a run; end them afterwards, in the opposite order."""
    from serve.lifecycle import predictors, start_app
    from trader.runtime.actors import RunContext
    from trader.runtime.cluster import leave_cluster, start_cluster
    from trader.runtime.session import Session

    plan = run.plan
    with ExitStack() as cleanup:
        _progress(hooks, "starting Ray", 0.0)
        cluster = start_cluster(plan.settings.ray)
        cleanup.callback(leave_cluster)
        _progress(hooks, "starting Serve and actors", 0.0)
        context = RunContext(
            run_id=plan.run_id,
            mode=plan.mode,
            settings=plan.settings,
            info=plan.info,
            start_ns=plan.start_ns,
            log=_log_config(plan),
            checkpoint_dir=(plan.run_dir / "checkpoints").resolve(),
        )
        serving = _serving(plan, store)
        champion, challenger = predictors(serving)
        # Its processes start beside those of Serve, which it asks only when it trades.
        session = Session(context, champion.within(plan.settings.run.predict_timeout_s), store, challenger)
        cleanup.callback(session.close)
        app = start_app(
            plan.settings.serve,
            serving,
            store_url=plan.settings.store_url,
            registry=plan.settings.registry,
            run_id=plan.run_id,
        )
        cleanup.callback(app.stop)
        # The application goes away only after those that ask it.
        cleanup.callback(session.close)
        session.wait_ready()
        endpoints = Endpoints(
            run_id=plan.run_id,
            run_dir=plan.run_dir,
            address=cluster.address,
            auth_mode=cluster.auth_mode,
            dashboard_url=cluster.dashboard_url,
            http_url=app.url,
        )
        _write_session(endpoints)
        cleanup.callback(session_file(plan.run_dir).unlink, missing_ok=True)
        if hooks.on_endpoints is not None:
            hooks.on_endpoints(endpoints)
        yield session


def _serving(plan: RunPlan, store: Store) -> Serving:
    """Return what the application of a run serves: its ensemble, and that of its experiment's challenger."""
    from serve.plan import Serving
    from trader.experiments.book import ExperimentBook

    experiment = plan.settings.experiment
    if not experiment.name:
        return Serving(model_dir=plan.model_dir)
    split = ExperimentBook(store).get(experiment.name).spec.split
    return Serving(
        model_dir=plan.model_dir,
        challenger_dir=plan.challenger_dir,
        challenger_timeout_s=experiment.timeout_s,
        experiment=split.salt,
        challenger_share=split.challenger,
        holdout=split.holdout,
    )


def report(settings: Settings, run_id: str) -> Summary:
    """Write the files of a run again from the store.

    Raises
    ------
    NotFoundError
        If the store has no such run.
    """
    with _open_store(settings, synchronous="full") as store:
        record = store.run(run_id)
        kept = Settings.model_validate(record.settings)
        return write_run(
            store,
            run_id,
            settings.run.runs_dir / run_id,
            benchmark=benchmark_for(kept.feed),
            status=record.status,
            extras=record.extra,
        )


def session_file(run_dir: Path) -> Path:
    """Return the file that says where a running session can be reached."""
    return run_dir / "session.json"


def read_session(settings: Settings, run_id: str | None) -> Endpoints:
    """Return where a running session is; without an id, the only one that runs.

    Raises
    ------
    NotFoundError
        If there is none, or more than one and no id.
    """
    runs_dir = settings.run.runs_dir
    files = [session_file(runs_dir / run_id)] if run_id else sorted(runs_dir.glob("*/session.json"))
    found = [file for file in files if file.exists()]
    if not found:
        raise NotFoundError(f"no running session{f' {run_id}' if run_id else ''} in {runs_dir}")
    if len(found) > 1:
        raise NotFoundError(f"several sessions run: {', '.join(f.parent.name for f in found)}; name one")
    content = json.loads(found[0].read_text(encoding="utf-8"))
    return Endpoints(**{**content, "run_dir": Path(content["run_dir"])})


@contextmanager
def _run(settings: Settings, store: Store, mode: RunMode, resume: str | None, hooks: Hooks) -> Iterator[Prepared]:
    """Prepare a run and hold its directory marked incomplete until it is reported."""
    run_id = resume or new_run_id()
    run_dir = settings.run.runs_dir / run_id
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        mark_incomplete(run_dir)
    except OSError as error:
        raise UserError(f"run.runs_dir={settings.run.runs_dir} cannot be written: {error.strerror}") from error
    log = get_logger(run_id=run_id, part=mode)
    created = resume is not None
    try:
        if resume is not None:
            prepared = prepare_resume(settings, store, resume)
            store.reopen_run(resume)
        else:
            prepared = prepare_run(settings, store, mode=mode, run_id=run_id, on_progress=hooks.on_progress)
            created = True
        configure_logging(_log_config(prepared.plan))
        log.info("prepared", data=prepared.plan.info.name, start_ns=prepared.plan.start_ns)
        if hooks.on_prepared is not None:
            hooks.on_prepared(prepared)
        yield prepared
    except BaseException as error:
        if created:
            with suppress(TraderError):
                store.finish_run(run_id, "failed", time.time_ns(), {"error": str(error)})
        else:
            _remove_if_empty(run_dir)
        raise


def _finish(run: Prepared, store: Store, status: FinalStatus, hooks: Hooks) -> Summary:
    _progress(hooks, "writing the report", 0.0)
    plan = run.plan
    summary = write_run(
        store,
        plan.run_id,
        plan.run_dir,
        benchmark=benchmark_for(plan.settings.feed),
        status=status,
        extras=run.extras(),
    )
    store.finish_run(plan.run_id, status, time.time_ns(), summary.to_dict())
    if plan.settings.experiment.name:
        from trader.experiments.actions import conclude

        why = f"run {plan.run_id} is {status}"
        conclude(store, plan.settings.registry, plan.settings.experiment.name, who="trader", why=why)
    return summary


def _open_store(settings: Settings, *, synchronous: str) -> Store:
    return Store.open(settings.store_url, synchronous="full" if synchronous == "full" else "normal")


def _log_config(plan: RunPlan) -> LogConfig:
    path = (plan.run_dir / "log.jsonl").resolve()
    return LogConfig(path=path, level=plan.settings.telemetry.log_level)


def _write_session(endpoints: Endpoints) -> None:
    content: Mapping[str, Any] = {**dataclasses.asdict(endpoints), "run_dir": str(endpoints.run_dir)}
    target = session_file(endpoints.run_dir)
    partial = target.with_suffix(".partial")
    partial.write_text(json.dumps(content), encoding="utf-8")
    partial.replace(target)


def _remove_if_empty(run_dir: Path) -> None:
    """Leave nothing behind of a run that never began."""
    for file in run_dir.iterdir():
        if file.is_file():
            file.unlink()
    with suppress(OSError):
        run_dir.rmdir()


def _progress(hooks: Hooks, stage: str, share: float) -> None:
    if hooks.on_progress is not None:
        hooks.on_progress(stage, share)
