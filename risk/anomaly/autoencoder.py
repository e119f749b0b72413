"""LSTM autoencoder: a stretch of rows that cannot be put together again from a few numbers is strange."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from risk.anomaly.base import ScaledDetector

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["AutoencoderDetector"]

FloatArray = NDArray[np.float64]

_BATCH = 256
_STRIDE = 3
_LASTING = 1.5
_SCALE = 3.0


class AutoencoderDetector(ScaledDetector):
    """LSTM autoencoder (Malhotra et al. 2016): windows of rows through a narrow state and back.

    How strange a row is, feature by feature, is how far the end of its window is from what the network makes of it:
    the larger of the newest error and one and a half times the mean error of the last three rows. One thread, equal
    bits for equal seeds.

    Parameters
    ----------
    names, halflife, false_alarms
        As `ScaledDetector`.
    window : int, default=12
        Rows the network sees.
    n_hidden : int, default=16
        Width of the LSTMs.
    n_code : int, default=3
        Numbers that a window has to pass through.
    n_epochs : int, default=4
    seed : int, default=0
    """

    kind: ClassVar[str] = "autoencoder"

    def __init__(
        self,
        names: Sequence[str],
        *,
        halflife: float = 60.0,
        false_alarms: float = 1.0,
        window: int = 12,
        n_hidden: int = 16,
        n_code: int = 3,
        n_epochs: int = 4,
        seed: int = 0,
    ) -> None:
        super().__init__(names, halflife=halflife, false_alarms=false_alarms)
        self._window, self._n_hidden, self._n_code = window, n_hidden, n_code
        self._n_epochs, self._seed = n_epochs, seed
        self._net = self._build()
        self._past: FloatArray = np.zeros((window - 1, len(self.names)))

    def _build(self) -> nn.ModuleDict:
        from torch import nn

        n = len(self.names)
        return nn.ModuleDict(
            {
                "encoder": nn.LSTM(n, self._n_hidden, batch_first=True),
                "code": nn.Linear(self._n_hidden, self._n_code),
                "decoder": nn.LSTM(self._n_code, self._n_hidden, batch_first=True),
                "out": nn.Linear(self._n_hidden, n),
            }
        )

    def _learn(self, scaled: FloatArray) -> None:
        import torch

        from trader.models.torch_scope import reproducible

        rows = self._squeezed(scaled)
        views = np.lib.stride_tricks.sliding_window_view(rows, self._window, axis=0)
        windows = views[::_STRIDE].transpose(0, 2, 1)
        with reproducible(self._seed, torch.device("cpu"), 1):
            net = self._net = self._build()
            optimiser = torch.optim.Adam(net.parameters(), lr=5e-3)
            data = torch.from_numpy(np.ascontiguousarray(windows, np.float32))
            for _ in range(self._n_epochs):
                shuffled = data[torch.randperm(len(data))]
                for first in range(0, len(data), _BATCH):
                    batch = shuffled[first : first + _BATCH]
                    optimiser.zero_grad()
                    loss: Tensor = torch.nn.functional.smooth_l1_loss(_rebuilt(net, batch), batch)
                    loss.backward()  # type: ignore[no-untyped-call]
                    optimiser.step()

    def _measure(self, scaled: FloatArray) -> FloatArray:
        import torch

        from trader.models.torch_scope import threads

        rows = np.concatenate([self._past, scaled])
        self._past = rows[len(rows) - self._window + 1 :].copy()
        if not len(scaled):
            return np.empty((0, len(self.names)))
        windows = np.lib.stride_tricks.sliding_window_view(self._squeezed(rows), self._window, axis=0)
        found = np.empty(scaled.shape)
        with threads(1), torch.no_grad():
            for first in range(0, len(scaled), _BATCH):
                part = torch.from_numpy(
                    np.ascontiguousarray(windows[first : first + _BATCH].transpose(0, 2, 1), np.float32)
                )
                rebuilt = _SCALE * _rebuilt(self._net, part)[:, -3:].numpy().astype(np.float64)
                ends = np.stack([rows[first + self._window - 3 + k :][: len(part)] for k in range(3)], axis=1)
                error = ends - rebuilt
                found[first : first + len(part)] = np.maximum(
                    np.abs(error[:, -1]), _LASTING * np.abs(error.mean(axis=1))
                )
        return found

    def _squeezed(self, rows: FloatArray) -> FloatArray:
        return rows / _SCALE

    def _remember(self, memory: Sequence[FloatArray]) -> None:
        self._past = memory[0] if memory else np.zeros((self._window - 1, len(self.names)))

    def _memory(self) -> list[FloatArray]:
        return [self._past.copy()]

    def _learnt(self) -> Mapping[str, FloatArray]:
        return {name: tensor.numpy().astype(np.float64) for name, tensor in self._net.state_dict().items()}

    def _relearn(self, learnt: Mapping[str, FloatArray]) -> None:
        import torch

        self._net = self._build()
        self._net.load_state_dict({name: torch.from_numpy(array.astype(np.float32)) for name, array in learnt.items()})


def _rebuilt(net: nn.ModuleDict, rows: Tensor) -> Tensor:
    """Return windows (n, window, n_features) as the network gives them back."""
    _, (hidden, _) = net["encoder"](rows)
    code = net["code"](hidden[-1])
    decoded, _ = net["decoder"](code[:, None].expand(-1, rows.shape[1], -1))
    out: Tensor = net["out"](decoded)
    return out
