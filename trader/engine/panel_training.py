"""Judging and registering a model that learnt from panel files."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError
from trader.core.protocols import Forecast
from trader.engine.evaluation import SignalEvaluation, signal_figures
from trader.models.background import Background, draw_background
from trader.models.panel_files import PanelBlock, PanelFiles
from trader.models.panel_model import spans_of
from trader.models.targets import ENTRY_DELAY
from trader.models.transformer_model import Transformer
from trader.models.transformer_params import TransformerParams
from trader.registry import Lineage
from trader.validation.suspicion import leaking_features

__all__ = ["PanelSplit", "evaluate_on_panel", "panel_background", "panel_lineage"]

FloatArray = NDArray[np.float64]

_BACKGROUND_FILES = 8


@dataclasses.dataclass(frozen=True, slots=True)
class PanelSplit:
    """What of a panel a model may see, and what it is judged by.

    Parameters
    ----------
    end : int
        Position after the last instant that is learnt from or validated on.
    test : int
        Position of the first instant that the model is judged by; a purge lies between.
    """

    end: int
    test: int

    @classmethod
    def of(cls, panel: PanelFiles, params: TransformerParams, test_fraction: float) -> PanelSplit:
        """Keep the last share of the instants for the test; no label before it looks into it.

        Raises
        ------
        DataError
            If the share is not between 0 and 1, or leaves nothing on either side.
        """
        if not 0 < test_fraction < 1:
            raise DataError(f"test_fraction={test_fraction} is not allowed; it must be between 0 and 1")
        end = len(panel) - round(test_fraction * len(panel))
        test = end + max(params.purge, ENTRY_DELAY + panel.header.horizon)
        if end < 1 or panel.stats(min(test, len(panel)), len(panel)).n_labels == 0:
            raise DataError(
                f"test_fraction={test_fraction} of {len(panel)} instants leaves nothing to learn from or to test on"
            )
        return cls(end, test)


def evaluate_on_panel(
    model: Transformer, panel: PanelFiles, split: PanelSplit, *, seed: int, seconds: float
) -> SignalEvaluation:
    """Judge a model by the instants after those it has seen, a file at a time.

    It is one fold of a walk-forward validation, and the model that is judged is the one that is kept. Nothing is
    traded: panel files hold no prices.
    """
    forecast, target, ts_ns = _forecast(model, panel, split.test)
    figures = signal_figures(forecast, target, [np.arange(ts_ns.size)], ts_ns, panel.header.horizon, seed)
    leaks: dict[str, float] = {}
    if figures["suspicion"].open:
        last = panel.read(panel.files[-1])
        leaks = leaking_features(last.features.astype(np.float64), _labels(last), panel.header.feature_names)
    seen = panel.stats(0, split.end)
    return SignalEvaluation(
        kind=model.name,
        params=model.params,
        seed=seed,
        train_start_ns=_stamp(panel, seen.first),
        train_end_ns=_stamp(panel, split.end - 1),
        horizon=panel.header.horizon,
        n_rows=seen.n_labels,
        n_features=len(panel.header.feature_names),
        n_symbols=len(panel.header.symbols),
        folds=((int(ts_ns[0]), int(ts_ns[-1])),),
        leaks=leaks,
        curve=tuple({"step": float(step), **epoch} for step, epoch in enumerate(model.history.epochs, 1)),
        seconds=seconds,
        **figures,
    )


def panel_background(panel: PanelFiles, split: PanelSplit, seed: int) -> Background:
    """Return a sample of the rows that were learnt from, of a few files spread over them."""
    spans = panel.spans(0, split.end)
    chosen = np.unique(np.linspace(0, len(spans) - 1, _BACKGROUND_FILES).round().astype(int))
    blocks = [panel.read_span(spans[place], 0) for place in chosen]
    rows = np.concatenate([block.features[block.weight > 0] for block in blocks]).astype(np.float64)
    source = f"drawn by seed {seed} from {len(rows)} of training, in {chosen.size} of {len(spans)} panel files"
    return draw_background(rows, seed, source=source)


def panel_lineage(panel: PanelFiles, split: PanelSplit, seed: int) -> Lineage:
    """Return where a model that learnt from panel files comes from; the settings are those of the panel."""
    return Lineage(
        data_fingerprint=panel.header.fingerprint or panel.fingerprint,
        settings=panel.header.settings,
        seed=seed,
        span_ns=(panel.span_ns[0], _stamp(panel, split.end - 1)),
    )


def _forecast(model: Transformer, panel: PanelFiles, start: int) -> tuple[Forecast, FloatArray, NDArray[np.int64]]:
    """Return forecasts, labels and stamps from a position on."""
    parts, targets, stamps = [], [], []
    for block in spans_of(panel, panel.spans(start, len(panel)), model.context - 1):
        parts.append(model.forecast(block.features.astype(np.float64), block.n_context))
        targets.append(_labels(block)[block.n_context :])
        stamps.append(block.ts_ns[block.n_context :])
    names = ("score", "probability_up", "quantiles", "volatility")
    fields = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return Forecast(levels=parts[0].levels, **fields), np.concatenate(targets), np.concatenate(stamps)


def _labels(block: PanelBlock) -> FloatArray:
    return np.where(block.weight > 0, block.target.astype(np.float64), np.nan)


def _stamp(panel: PanelFiles, position: int) -> int:
    """Return the close stamp of an instant."""
    (span,) = panel.spans(position, position + 1)
    return int(panel.read_span(span, 0).ts_ns[0])
