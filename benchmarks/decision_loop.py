"""The whole `trader backtest` loop in process, beside backtesting.py and vectorbt on the same bars."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.environments import Peer
from benchmarks.machine import versions_of
from benchmarks.options import Options
from benchmarks.results import Result, Target
from benchmarks.sampling import Contender, ContenderError, Outcome, Role, Sample, absent, alternate, in_process
from benchmarks.ticks import SEED
from trader.core.market import BarPanel
from trader.data.simulated import SimulatedMarket
from trader.engine.backtest import run_backtest
from trader.engine.prepare import Prepared, prepare_run
from trader.models.base import MODELS, ArrayModel
from trader.models.rows import Rows, Watch
from trader.settings import (
    FeatureSettings,
    FeedSettings,
    GateSettings,
    ModelSettings,
    RunSettings,
    Settings,
    SimulationSettings,
    SizingSettings,
)
from trader.storage import Store

__all__ = ["run"]

FloatArray = NDArray[np.float64]

_N_SYMBOLS = 20
_N_TRAINING = 1_000
_BOUNDARY = (_N_TRAINING - 1, _N_TRAINING)
"""Rows of the last bar of training and the first of trading."""
_FAMILIES = ("returns", "momentum", "volatility", "rsi", "macd", "bollinger", "atr", "volume")
_PASSES: tuple[tuple[str, Role, int | None, str], ...] = (
    (
        "trader backtest",
        "ours",
        None,
        "MACD cross: features, ensemble, sizing, risk gate, broker, ledger, SQLite store",
    ),
    ("trader backtest, an instant a batch", "variant", 1, "the same with feed.batch_slices=1, the steps of a live run"),
)
_SIZING = SizingSettings(
    target_volatility=0.05,
    volatility_halflife=500.0,
    max_weight=0.3,
    max_gross=3.0,
    max_net=3.0,
    max_turnover=3.0,
    rebalance_band=0.04,
)
_GATE = GateSettings(max_position_weight=0.5, max_gross=4.0, max_net=4.0, max_daily_loss=0.5, max_drawdown=0.95)
"""Weights change slowly, and limits are wide: beyond the band, most orders come from a cross."""
_N_BACKTESTING = 5
"""Symbols that backtesting.py trades: it takes them one by one, so fewer do not change its rate."""


class MacdCross(ArrayModel):
    """Long while the EMA of 12 closes is above that of 26, else short: the score is the sign of `macd`."""

    name = "macd_cross"
    PARAMS = ()
    ARRAYS = ("column",)

    column: NDArray[np.int64]

    def _fit(self, rows: Rows, names: tuple[str, ...], seed: int, watch: Watch | None) -> None:  # noqa: ARG002
        self.column = np.array([names.index("macd")])

    def _scores(self, features: FloatArray) -> FloatArray:
        scores: FloatArray = np.sign(features[:, self.column[0]])
        return scores


def run(options: Options) -> Result:
    """Measure symbol-bars per second from bars in memory to committed decisions."""
    MODELS[MacdCross.name] = f"{__name__}:{MacdCross.__name__}"
    n_instants = 2_000 if options.quick else 11_000
    market = SimulatedMarket(SimulationSettings(n_symbols=_N_SYMBOLS, n_days=n_instants), seed=SEED)
    panel = market.panel()
    file = _write_bars(panel, market.info.universe.symbols, options.scratch / "bars.parquet")
    options.say("training")
    settings = _settings(file, options.scratch / "runs", panel)
    trained = _prepare(settings)
    n_traded = int((panel.ts_ns >= trained.plan.start_ns).sum()) * _N_SYMBOLS
    contenders = [
        Contender(
            name,
            role,
            n_traded,
            _backtest(settings, trained.plan.model_dir, batch_slices),
            versions_of(["numba", "numpy", "sqlalchemy"]),
            note,
        )
        for name, role, batch_slices, note in _PASSES
    ]
    peers_file = _write_for_peers(panel, trained.plan.start_ns, options.scratch / "bars.npz")
    missing: list[Outcome] = []
    with contextlib.ExitStack() as stack:
        for name, environment, script, *arguments in (
            ("backtesting.py SMA cross", "backtesting", "backtesting_sma.py", str(_N_BACKTESTING)),
            ("vectorbt SMA cross", "vectorbt", "vectorbt_sma.py"),
        ):
            options.say(f"preparing {name}")
            try:
                peer = stack.enter_context(Peer(environment, script, [str(peers_file), *arguments]))
                contenders.append(peer.contender(name))
            except ContenderError as error:
                missing.append(absent(name, "peer", str(error)))
        outcomes = [*alternate(contenders, on_round=lambda number: options.say(f"round {number}")), *missing]
    ours = outcomes[0]
    return Result(
        "decision_loop",
        "Decision loop of trader backtest, 20 symbols",
        "symbol-bars",
        {
            "symbol_bars": n_traded,
            "symbols": _N_SYMBOLS,
            "features": len(trained.schema.names),
            "feature_names": list(trained.schema.names),
            "members": list(trained.member_names),
            "decisions": ours.detail("decisions"),
            "orders": ours.detail("orders"),
            "seed": SEED,
        },
        outcomes,
        [Target("symbol-bars/s", "symbol-bars/s", ours.rate, ">=", 200_000.0)],
    )


def _settings(file: Path, runs_dir: Path, panel: BarPanel) -> Settings:
    """Return settings of a cross that is looked at every bar and traded at once; bars before the start warm up."""
    last, first = (str(panel.ts_ns[row].astype("datetime64[ns]").astype("datetime64[D]")) for row in _BOUNDARY)
    return Settings(
        feed=FeedSettings(kind="file", path=file, data_kind="bars", start=first),
        features=FeatureSettings(families=_FAMILIES),
        models=ModelSettings(members=(MacdCross.name,), train_end=last, n_splits=2),
        sizing=_SIZING,
        risk=_GATE,
        run=RunSettings(runs_dir=runs_dir, seed=SEED),
    )


def _prepare(settings: Settings) -> Prepared:
    with _store(settings, "training") as store:
        return prepare_run(settings, store, mode="backtest")


def _store(settings: Settings, name: str) -> contextlib.closing[Store]:
    settings.run.runs_dir.mkdir(parents=True, exist_ok=True)
    return contextlib.closing(Store.open(f"sqlite:///{settings.run.runs_dir / name}.db", synchronous="normal"))


def _backtest(settings: Settings, model_dir: Path, batch_slices: int | None) -> Callable[[], Sample]:
    """Return a repeat that trades the bars into a new store; opening and loading are outside the time.

    `batch_slices` is None for what a user gets who does not set it.
    """
    feed = {} if batch_slices is None else {"batch_slices": batch_slices}
    chosen = settings.model_copy(
        update={
            "feed": settings.feed.model_copy(update=feed),
            "models": settings.models.model_copy(update={"load_from": model_dir}),
        }
    )
    numbers = itertools.count()

    def repeat() -> Sample:
        with _store(chosen, f"batch-{batch_slices}-{next(numbers)}") as store:
            prepared = prepare_run(chosen, store, mode="backtest")
            sample = in_process(lambda: run_backtest(prepared, store))()
            table = store.decisions(prepared.plan.run_id)
            counts = {"decisions": len(table.ts_ns), "orders": len(store.orders(prepared.plan.run_id))}
        return Sample(sample.wall_s, sample.cpu_s, counts)

    return repeat


def _write_bars(panel: BarPanel, symbols: tuple[str, ...], path: Path) -> Path:
    bars = panel.to_bars()
    columns = {
        "ts_open": bars.ts_open_ns.astype("datetime64[ns]"),
        "ts": bars.ts_ns.astype("datetime64[ns]"),
        "symbol": np.array(symbols)[bars.symbol_id],
        **{name: getattr(bars, name) for name in ("open", "high", "low", "close", "volume", "vwap", "buy_volume")},
    }
    pq.write_table(pa.table(columns), path)
    return path


def _write_for_peers(panel: BarPanel, start_ns: int, path: Path) -> Path:
    rows = panel.ts_ns >= start_ns
    fields = {name: getattr(panel, name)[rows] for name in ("open", "high", "low", "close", "volume")}
    np.savez(path, ts_ns=panel.ts_ns[rows], **fields)
    return path
