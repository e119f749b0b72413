"""From panel files to what a network reads: split, encoder, units, windows."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trader.core.errors import DataError, ModelError
from trader.models.encoding import Encoded, PanelEncoder
from trader.models.panel_files import PanelBlock, PanelFiles
from trader.models.panel_stats import PanelStats
from trader.models.targets import ENTRY_DELAY
from trader.models.transformer import NetworkConfig
from trader.models.transformer_fit import MIN_FIT_ROWS, MIN_TAIL_ROWS, network_config
from trader.models.transformer_params import TransformerParams
from trader.models.transformer_training import Examples
from trader.models.windows import WindowSource

__all__ = ["PanelFit", "Side"]

FloatArray = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, slots=True)
class Side:
    """What is learnt from, or what is validated on: labels at positions `start` to `stop` (exclusive) of a panel.

    `mean_weight` is that of its labels: weights are divided by it.
    """

    start: int
    stop: int
    mean_weight: float

    @classmethod
    def of(cls, stats: PanelStats) -> Side:
        """Return the side that these figures are of, from its first label to its last."""
        return cls(stats.first, stats.end, stats.weight / max(stats.n_labels, 1))


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class PanelFit:
    """What is known before a fit to panel files begins; the same as a fit in memory makes of the same instants.

    Parameters
    ----------
    params : TransformerParams
    head : Side
        Learnt from.
    tail : Side or None
        Validated on; it begins a purge after the head. None where too few labels would be left.
    encoder : PanelEncoder
        Of the head.
    scale : float
        Root mean square of the head's labels.
    config : NetworkConfig
    n_symbols : int
    """

    params: TransformerParams
    head: Side
    tail: Side | None
    encoder: PanelEncoder
    scale: float
    config: NetworkConfig
    n_symbols: int

    @classmethod
    def of(cls, panel: PanelFiles, params: TransformerParams, end: int | None = None) -> PanelFit:
        """Learn from the figures in the manifest; the few files that lie across the ends of head and tail are read.

        Parameters
        ----------
        panel : PanelFiles
        params : TransformerParams
        end : int, optional
            The instants from this position on are neither learnt from nor validated on.

        Raises
        ------
        DataError
            If windows of the asked context do not fit into the overlap of the files.
        ModelError
            If there are fewer than ten labels.
        """
        header = panel.header
        if params.context - 1 > header.overlap:
            raise DataError(
                f"context={params.context} is not allowed; {panel.folder} was written for at most {header.overlap + 1}"
            )
        n = len(panel) if end is None else end
        cut = n - round(params.validation_fraction * n)
        purge = max(params.purge, ENTRY_DELAY + header.horizon)
        head, tail = panel.stats(0, max(cut - purge, 0)), panel.stats(cut, n)
        split = min(head.n_labels, tail.n_labels) >= MIN_TAIL_ROWS
        if not split:
            head = panel.stats(0, n)
        if head.n_labels < MIN_FIT_ROWS:
            raise ModelError(
                f"transformer has {head.n_labels} rows with a known target and features; {MIN_FIT_ROWS} are needed"
            )
        encoder = PanelEncoder.of_moments(*head.features.standard, head.features.missing, header.feature_names)
        return cls(
            params=params,
            head=Side.of(head),
            tail=Side.of(tail) if split else None,
            encoder=encoder,
            scale=float(np.sqrt(head.power / head.weight)) if head.power > 0 else 1.0,
            config=network_config(params, encoder, len(header.symbols)),
            n_symbols=len(header.symbols),
        )

    def windows(self, blocks: Sequence[PanelBlock], side: Side, device: torch.device) -> tuple[WindowSource, Examples]:
        """Return the windows that end in some blocks, and their labels; those of the other side count 0.

        The blocks have a past of ``context - 1`` instants, or of what there is. Their instants are laid one behind
        the other; no window reaches from one block into another.
        """
        past = self.params.context - 1
        encoded = [self.encoder(block.features.astype(np.float64), past - block.n_context) for block in blocks]
        labels = [self._labels(block, side) for block in blocks]
        lengths = [block.ts_ns.size - block.n_context for block in blocks]
        starts = np.cumsum([0, *(length + past for length in lengths[:-1])])
        ends = np.concatenate([start + np.arange(length) for start, length in zip(starts, lengths, strict=True)])
        source = WindowSource(_joined(encoded), self.params.context, self.params.patch, device)
        target, weight = (_tensor([pair[place] for pair in labels], device) for place in (0, 1))
        return source, Examples(torch.from_numpy(ends).to(device), target, weight)

    def _labels(self, block: PanelBlock, side: Side) -> tuple[FloatArray, FloatArray]:
        """Return target and weight of a block with the past that is not there before it."""
        position = np.arange(block.ts_ns.size) - block.n_context + block.first
        inside = (position >= side.start) & (position < side.stop)
        used = (block.weight > 0) & inside[:, None]
        missing = np.zeros((self.params.context - 1 - block.n_context, used.shape[1]))
        target = np.where(used, block.target.astype(np.float64) / self.scale, 0.0)
        weight = np.where(used, block.weight.astype(np.float64) / side.mean_weight, 0.0)
        return np.concatenate([missing, target]), np.concatenate([missing, weight])


def _joined(parts: Sequence[Encoded]) -> Encoded:
    names = (field.name for field in dataclasses.fields(Encoded))
    return Encoded(*(np.concatenate([getattr(part, name) for part in parts], axis=1) for name in names))


def _tensor(parts: Sequence[FloatArray], device: torch.device) -> Tensor:
    return torch.from_numpy(np.concatenate(parts).astype(np.float32)).to(device)
