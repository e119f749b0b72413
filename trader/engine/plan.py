"""What a run will do, worked out from settings and feed before anything starts."""

from __future__ import annotations

import dataclasses
import datetime as dt
import secrets
import time
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError, SettingsError
from trader.core.protocols import FeedInfo
from trader.data.feeds import feed_timezone, feed_window
from trader.data.sessions import day_start_ns
from trader.settings import Settings
from trader.storage import RunMode

__all__ = ["RunPlan", "make_plan", "new_run_id", "periods_per_year", "train_end_ns"]

_DAY_NS = 86_400_000_000_000
_YEAR_NS = 365.25 * _DAY_NS
_TRADING_DAYS = 252.0
_LIVE_AGE_S = 60.0
"""Age of a price beyond which a live run trades no more on it, where the settings leave it open; two bars at least."""
_BACKTEST_SLICES = 256
"""Instants a batch of a backtest whose settings leave it open: decisions do not depend on it, only speed does."""


@dataclasses.dataclass(frozen=True, slots=True)
class RunPlan:
    """The frozen outline of a run.

    Parameters
    ----------
    run_id : str
    mode : {"run", "backtest"}
    settings : Settings
        With everything that depends on the data filled in.
    info : FeedInfo
    train_end_ns, start_ns : int
        Models learn from labels known by `train_end_ns`; trading begins with the first bar at or after `start_ns`.
    """

    run_id: str
    mode: RunMode
    settings: Settings
    info: FeedInfo
    train_end_ns: int
    start_ns: int

    @property
    def run_dir(self) -> Path:
        """Where the run's files go."""
        return self.settings.run.runs_dir / self.run_id

    @property
    def model_dir(self) -> Path:
        """Where the ensemble's artifacts are: the run's own, or those it was told to load."""
        return self.settings.models.load_from or self.run_dir / "models"

    @property
    def challenger_dir(self) -> Path:
        """Where the artifacts of an experiment's challenger are."""
        return self.run_dir / "challenger"


def new_run_id(now: dt.datetime | None = None) -> str:
    """Return an id that sorts by time and does not collide.

    >>> new_run_id(dt.datetime(2024, 5, 6, 7, 8, 9))[:16]
    '20240506-070809-'
    """
    now = now or dt.datetime.now(dt.UTC)
    return f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def make_plan(settings: Settings, info: FeedInfo, *, mode: RunMode, run_id: str | None = None) -> RunPlan:
    """Return the plan of a run on the data of a feed.

    Raises
    ------
    SettingsError
        If the training or trading dates do not lie within the data, or overlap.
    DataError
        If the feed is live, and is to be backtested or trained on.
    """
    if info.span_ns is None:
        return _live_plan(settings, info, mode, run_id)
    first, last = info.span_ns
    model = settings.models
    train_end = train_end_ns(settings, info.span_ns)
    start = feed_window(settings.feed)[0]
    if start is None:
        # The feed must know it too: it sends what is only warm-up in large batches.
        start = _whole_us(train_end) + 1000
        feed = settings.feed.model_copy(update={"start": _iso(start, "us")})
        settings = settings.model_copy(update={"feed": feed})
    if mode == "backtest" and "batch_slices" not in settings.feed.model_fields_set:
        feed = settings.feed.model_copy(update={"batch_slices": _BACKTEST_SLICES})
        settings = settings.model_copy(update={"feed": feed})
    if model.load_from is None and start <= train_end:
        raise SettingsError(
            f"feed.start={_iso(start)} is not after models.train_end={_iso(train_end)}; "
            "models may not be traded on data they were trained on"
        )
    for name, stamp in (("models.train_end", train_end), ("feed.start", start)):
        if model.load_from is None and not first < stamp <= last:
            raise SettingsError(f"{name}={_iso(stamp)} is outside the data, {_iso(first)} to {_iso(last)}")
    return RunPlan(run_id or new_run_id(), mode, settings, info, train_end, start)


def _live_plan(settings: Settings, info: FeedInfo, mode: RunMode, run_id: str | None) -> RunPlan:
    """Return the plan of a run on what is about to happen; it begins with the first bar that is seen whole."""
    if mode == "backtest":
        raise DataError(f"feed {info.name!r} has no history to trade on; record it with `trader feeds record`")
    if settings.models.load_from is None:
        raise DataError(
            f"feed {info.name!r} has no history to train on; name trained models with --models DIR, "
            "such as those of a run on recorded ticks"
        )
    now = time.time_ns()
    start = feed_window(settings.feed)[0]
    if start is None:
        size_ns = round(settings.bars.size * 1e9) if settings.bars.kind == "time" else 1000
        start = _whole_us((now // size_ns + 1) * size_ns) + 1000
        feed = settings.feed.model_copy(update={"start": _iso(start, "us")})
        settings = settings.model_copy(update={"feed": feed})
    if "bars_per_year" not in settings.sizing.model_fields_set:
        if settings.bars.kind != "time":
            raise SettingsError(
                f"sizing.bars_per_year is not set; bars.kind={settings.bars.kind!r} of a live feed needs it"
            )
        sizing = settings.sizing.model_copy(update={"bars_per_year": _YEAR_NS / 1e9 / settings.bars.size})
        settings = settings.model_copy(update={"sizing": sizing})
    if "max_data_age_s" not in settings.risk.model_fields_set:
        oldest = max(_LIVE_AGE_S, 2 * settings.bars.size if settings.bars.kind == "time" else 0.0)
        settings = settings.model_copy(update={"risk": settings.risk.model_copy(update={"max_data_age_s": oldest})})
    return RunPlan(run_id or new_run_id(), mode, settings, info, now, start)


def train_end_ns(settings: Settings, span_ns: tuple[int, int]) -> int:
    """Return the last stamp that training may see: the end of the day `models.train_end`, or a share of the span."""
    model = settings.models
    if model.train_end is None:
        return _whole_us(span_ns[0] + int((span_ns[1] - span_ns[0]) * model.train_fraction))
    return day_start_ns(model.train_end, feed_timezone(settings.feed)) + _DAY_NS - 1


def periods_per_year(ts_ns: NDArray[np.int64]) -> float:
    """Return how many instants a year holds, from the stamps of a sample.

    Stamps of trading days give the customary 252; fewer than two stamps do as well.
    """
    if ts_ns.size < 2 or ts_ns[-1] == ts_ns[0]:
        return _TRADING_DAYS
    found = float((ts_ns.size - 1) / float(ts_ns[-1] - ts_ns[0]) * _YEAR_NS)
    return _TRADING_DAYS if abs(found / _TRADING_DAYS - 1) < 0.05 else found


def _whole_us(ts_ns: int) -> int:
    return ts_ns // 1000 * 1000


def _iso(ts_ns: int, unit: Literal["s", "us"] = "s") -> str:
    return f"{np.datetime64(ts_ns, 'ns').astype(f'datetime64[{unit}]')}+00:00"
