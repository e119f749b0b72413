"""Serving over HTTP and by handle: throughput, latency, and what router, experiment and shadow cost."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import orjson
from fastapi import FastAPI, Request
from ray import serve as ray_serve

from benchmarks.cluster import local_cluster, processor_time
from benchmarks.http_load import Answers, closed_loop, open_loop
from benchmarks.machine import versions_of
from benchmarks.options import Options
from benchmarks.results import Result, Target, ratio
from benchmarks.sampling import Contender, Role, Sample, alternate
from serve.deployer import RayDeployer
from serve.lifecycle import RunningApp, start_app
from serve.plan import Serving, deployment_of
from trader.experiments.assignment import Split, Variant, assign
from trader.models.artifacts import save_ensemble
from trader.models.base import create
from trader.models.ensemble import Ensemble
from trader.settings.sections import ServeSettings

__all__ = ["run"]

FEATURES = ("momentum_252_21", "return_5d", *(f"feature_{number:02d}" for number in range(28)))
MEMBERS = ("momentum", "linear", "boosting")
TARGET_RATE = 5_000.0
_REPEATS = 5
_SEED = 3


def run(options: Options) -> Result:
    """Measure ours beside a bare ingress of Ray Serve with as many handle hops, which does no work."""
    folder = _ensemble(options.scratch / "champion")
    beside = Path(shutil.copytree(folder, options.scratch / "challenger"))
    with local_cluster(num_cpus=2, object_store_mb=200), _applications(folder) as (app, peer_url):
        deployer = RayDeployer(app.name, app.args, app.credentials)
        url = f"{app.url}/v1/predict"
        one, many = _body(1), _body(64)
        for target, body in ((url, one), (url, many), (peer_url, one)):
            closed_loop(target, body, 50)
        options.say("single symbols")
        n = options.scaled(300)
        singles = alternate(
            [
                _contender("one symbol, 3 models", "ours", url, one, n),
                _contender("bare ingress, one no-op handle hop", "peer", peer_url, one, n),
            ],
            repeats=_REPEATS,
        )
        options.say("batches of 64")
        batched = [closed_loop(url, many, options.scaled(200), connections=8) for _ in range(_REPEATS)]
        steady = open_loop(url, many, TARGET_RATE / 2 / 64, 1.0 + options.scaled(15))
        options.say("by handle")
        handle_ms = _handle(app, options.scaled(1000))
        options.say("experiment and shadow")
        experiment = _compared(
            deployer,
            Serving(model_dir=folder),
            Serving(model_dir=folder, challenger_dir=beside, experiment="bench", challenger_share=0.1),
            lambda: closed_loop(url, _body(1, champion_of=Split("bench", 0.1)), options.scaled(150)),
        )
        shadow = _compared(
            deployer,
            Serving(model_dir=folder),
            Serving(model_dir=folder, challenger_dir=beside, experiment="bench"),
            lambda: closed_loop(url, one, options.scaled(150)),
        )
        with _frozen(beside, app.name):
            hanging = _compared(
                deployer,
                Serving(model_dir=folder, warm=(beside,)),
                Serving(model_dir=folder, challenger_dir=beside, experiment="bench", challenger_timeout_s=0.5),
                lambda: closed_loop(url, one, options.scaled(150)),
            )
    ours, peer = singles
    rate = statistics.median(64 * answers.rate for answers in batched)
    failed = sum(answers.failed for answers in (*batched, steady, *experiment, *shadow, *hanging))
    return Result(
        "serving",
        "Serving over HTTP and by handle; client and server share the cores",
        "requests",
        {"members": list(MEMBERS), "features": len(FEATURES), "seed": _SEED},
        singles,
        [
            Target("single symbol, rate over a bare ingress", "x", ratio(ours, peer), ">=", 0.9),
            Target("predictions over HTTP, 64 a request, 8 connections", "1/s", rate, ">=", TARGET_RATE),
            Target("p99 at half of 5,000 predictions/s", "ms", steady.ms(99), "<=", 50.0),
            Target("handle, 20 symbols x 3 models, p99", "ms", handle_ms[1], "<=", 10.0),
            Target("p50 with an experiment, over without", "x", _over(experiment, 50), "<=", 1.1),
            Target("p99 with a hanging shadow, over without", "x", _over(hanging, 99), "<=", 1.05),
            Target("requests that failed", "", float(failed), "<=", 0.0),
        ],
        {
            "single symbol, p50 and p99, ms": [ours.detail("p50_ms"), ours.detail("p99_ms")],
            "bare ingress, p50 and p99, ms": [peer.detail("p50_ms"), peer.detail("p99_ms")],
            "64 symbols, p50 and p99 at half of 5,000 predictions/s, ms": [steady.ms(50), steady.ms(99)],
            "handle, p50 and p99, ms": list(handle_ms),
            "shadow on the same cores: p50, p99 and rate, over without": [
                _over(shadow, 50),
                _over(shadow, 99),
                shadow[1].rate / shadow[0].rate,
            ],
            "HAProxy": "on" if os.environ.get("RAY_SERVE_ENABLE_HA_PROXY") == "1" else "off",
        },
    )


def _ensemble(folder: Path) -> Path:
    """Save three fitted models on thirty features."""
    rng = np.random.default_rng(_SEED)
    rows = rng.normal(size=(2000, len(FEATURES)))
    target = rows[:, :4].sum(axis=1) + rng.normal(size=2000)
    members = {f"{name}@1.0.0": create(name).fit(rows, target, feature_names=FEATURES, seed=1) for name in MEMBERS}
    save_ensemble(Ensemble(members), folder)
    return folder


def _body(n_symbols: int, champion_of: Split | None = None) -> bytes:
    """Return a request; with a split, of symbols that are all the champion's."""
    symbols = [f"S{number}" for number in range(40 * n_symbols)]
    if champion_of is not None:
        mine = assign(symbols, champion_of) == Variant.CHAMPION
        symbols = [symbol for symbol, own in zip(symbols, mine, strict=True) if own]
    rows = np.random.default_rng(_SEED).normal(size=(n_symbols, len(FEATURES))).round(6)
    return orjson.dumps({"feature_names": FEATURES, "symbols": symbols[:n_symbols], "features": rows.tolist()})


class _NoOp:
    """What a bare ingress asks by handle."""

    def work(self) -> None:
        """Do nothing."""


class _Bare:
    """A FastAPI ingress as Ray Serve's documentation writes it; it takes the same body, and does not look at it."""

    def __init__(self, handle: ray_serve.handle.DeploymentHandle) -> None:
        self._handle = handle

    def __serve_build_asgi_app__(self) -> FastAPI:
        api = FastAPI()

        @api.post("/")
        async def answer(request: Request) -> dict[str, str]:
            await request.body()
            await self._handle.work.remote()
            return {"status": "ok"}

        return api


@contextlib.contextmanager
def _applications(folder: Path) -> Iterator[tuple[RunningApp, str]]:
    """Deploy ours at `/` and the bare ingress at `/bare`, with the same settings of Serve."""
    # Without a limit on memory a challenger takes no setting when its part changes, which one that hangs could not.
    app = start_app(ServeSettings(port=0, challenger_memory_mb=0), Serving(model_dir=folder))
    quiet = {"logging_config": {"enable_access_log": False}, "ray_actor_options": {"num_cpus": 0.1}}
    no_op = ray_serve.deployment(_NoOp, name="no-op", max_ongoing_requests=16, **quiet).bind()
    bare = ray_serve.deployment(ray_serve.ingress()(_Bare), name="bare", max_ongoing_requests=64, **quiet)
    ray_serve.run(bare.bind(no_op), name="bare", route_prefix="/bare")
    try:
        yield app, f"{app.url}/bare/"
    finally:
        ray_serve.delete("bare")
        app.stop()


def _contender(name: str, role: Role, url: str, body: bytes, n: int) -> Contender:
    def repeat() -> Sample:
        cpu = processor_time()
        answers = closed_loop(url, body, n)
        details = {"p50_ms": answers.ms(50), "p99_ms": answers.ms(99), "failed": answers.failed}
        return Sample(answers.wall_s, processor_time() - cpu, details)

    versions = versions_of(["ray", "fastapi", "uvicorn", "pydantic", "orjson", "numpy"])
    return Contender(name, role, n, repeat, versions, "one connection, kept alive")


def _handle(app: RunningApp, n: int) -> tuple[float, float]:
    """Return p50 and p99 of `ServePredictor`, in ms."""
    rows = np.random.default_rng(_SEED).normal(size=(1, 20, len(FEATURES)))
    taken = []
    for _ in range(n + 50):
        began = time.perf_counter()
        app.predictor(rows)
        taken.append(time.perf_counter() - began)
    return tuple(1e3 * np.percentile(taken[50:], (50, 99)))


def _compared(
    deployer: RayDeployer, without: Serving, with_it: Serving, measure: Callable[[], Answers]
) -> tuple[Answers, Answers]:
    """Measure two plans in turns, so that both meet the same load of the machine; all rounds together."""
    rounds: tuple[list[Answers], list[Answers]] = ([], [])
    deployer.deploy(without.model_copy(update={"warm": tuple(with_it.folders)}))
    for number in range(2 * _REPEATS):
        which = (number + number // 2) % 2
        deployer.deploy(with_it if which else without.model_copy(update={"warm": tuple(with_it.folders)}))
        rounds[which].append(measure())
    return _together(rounds[0]), _together(rounds[1])


def _together(rounds: list[Answers]) -> Answers:
    return Answers(
        sum(each.wall_s for each in rounds),
        np.concatenate([each.latency_s for each in rounds]),
        sum(each.failed for each in rounds),
    )


def _over(pair: tuple[Answers, Answers], percentile: float) -> float:
    return pair[1].ms(percentile) / pair[0].ms(percentile)


@contextlib.contextmanager
def _frozen(folder: Path, app: str) -> Iterator[None]:
    """Stop the process that holds an ensemble, so that it hangs without using the processor."""
    pid = ray_serve.get_deployment_handle(deployment_of(folder), app).probe.remote().result(timeout_s=60)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
