"""The market transformer as a model of this package: panels in, forecasts out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit

from trader.core.errors import DataError, ModelError
from trader.core.protocols import FitMonitor, Forecast
from trader.models.calibration import LEVELS
from trader.models.chunks import CHUNK, GPU_CHUNK, Chunk, chunks_of, is_exact, sizes_for, workers
from trader.models.encoding import PanelEncoder
from trader.models.schema import check_asked, min_known
from trader.models.state import read_state, write_state
from trader.models.torch_scope import device_of, reproducible, threads
from trader.models.transformer import AttentionWeights, MarketTransformer
from trader.models.transformer_calibration import OutputArrays, TailCalibration
from trader.models.transformer_fit import Fitted, fit_network, network_config
from trader.models.transformer_params import TransformerParams
from trader.models.transformer_training import History
from trader.models.windows import Windows, WindowSource, joined

__all__ = ["AttentionMaps", "Transformer"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class AttentionMaps:
    """Where the model looks when it scores; weights sum to 1 over the last axis.

    Parameters
    ----------
    time : ndarray of shape (n_slices, n_layers, n_symbols, n_heads / 2, n_patches)
        Of each symbol over its own patches, oldest first.
    assets : ndarray of shape (n_slices, n_layers, n_heads / 2, n_symbols, n_symbols)
        Of each symbol (fourth axis) over all symbols (last axis) in the last patch.
    """

    time: FloatArray
    assets: FloatArray


class Transformer(TransformerParams):
    """A transformer over windows of all symbols; see `trader.models.transformer` for the network.

    The score is the expected target. A symbol with fewer than half of its features known at the scored instant gets
    NaN; it may still be read by others. Symbols are known by their place in the panel: those beyond
    `n_symbol_embeddings`, or beyond the panel of the fit, share one embedding, that of a symbol never seen, which
    training lets every symbol play now and then. Any number of symbols can be scored, but a place must mean the
    same symbol as in the fit. With `n_symbol_embeddings=0` symbols differ by their features alone, and reordering
    them reorders the scores.

    The last `validation_fraction` of the instants is held out: it ends training early, picks the best epoch and
    calibrates the outputs. `purge` instants before it are left out of training. With fewer than twenty labels on
    either side, all are learnt from, for all epochs, and nothing is calibrated.

    On the processor an instant gets the same bits alone and in a block, whatever the number of threads.

    Parameters
    ----------
    **params
        See `trader.models.transformer_params.TransformerParams`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> features = rng.normal(size=(200, 5, 3))
    >>> target = 0.5 * np.roll(features[..., 0], 1, axis=1) + rng.normal(size=(200, 5))
    >>> model = Transformer(**Transformer.PRESETS["ci"])
    >>> model.fit_panel(features, target, feature_names=("return_1d", "volume_z_21d", "rsi_14d")).context
    4
    >>> model.forecast(features[:10]).quantiles.shape
    (10, 5, 5)
    """

    name: ClassVar[str] = "transformer"
    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
        {
            "ci": MappingProxyType(
                {"context": 4, "d_model": 16, "n_heads": 2, "n_layers": 1, "epochs": 6, "learning_rate": 5e-3}
            ),
            "demo": MappingProxyType({"patch": 2}),
            "full": MappingProxyType(
                {
                    "context": 100,
                    "d_model": 512,
                    "n_heads": 8,
                    "n_layers": 6,
                    "n_symbol_embeddings": 1000,
                    "batch_size": 64,
                    "learning_rate": 3e-4,
                    "weight_decay": 0.1,
                    "epochs": 30,
                }
            ),
        }
    )
    """`full` takes contexts to 1,000."""

    _fitted: Fitted | None = None
    _exact: Mapping[tuple[int, int], bool] = MappingProxyType({})  # by number of symbols and size of a chunk

    @classmethod
    def of(cls, params: TransformerParams, fitted: Fitted) -> Self:
        """Return the model of a network that was trained elsewhere, by several workers say."""
        model = cls(**params.params)
        model._fitted = fitted
        return model

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The schema it was fitted on; empty before `fit_panel`."""
        return self._fitted.names if self._fitted else ()

    @property
    def history(self) -> History:
        """What happened in training; raises ModelError before it."""
        return self._ready().history

    @property
    def network(self) -> MarketTransformer:
        """The trained network; raises ModelError before there is one."""
        return self._ready().network

    @property
    def encoder(self) -> PanelEncoder:
        """How features become inputs of the network; raises ModelError before a fit."""
        return self._ready().encoder

    @property
    def calibration(self) -> TailCalibration:
        """How outputs of the network are corrected; raises ModelError before a fit."""
        return self._ready().calibration

    @property
    def target_scale(self) -> float:
        """Target units in one unit of the network's outputs; raises ModelError before a fit."""
        return self._ready().target_scale

    @property
    def score_scale(self) -> float:
        """Score in one unit of the network's mean: the target's scale, shrunk as the calibration asks for."""
        fitted = self._ready()
        return fitted.target_scale * float(fitted.calibration.slope[0])

    def fit_panel(
        self,
        features: FloatArray,
        target: FloatArray,
        *,
        feature_names: tuple[str, ...],
        seed: int = 0,
        instants: IntArray | None = None,
        weight: FloatArray | None = None,
        monitor: FitMonitor | None = None,
    ) -> Self:
        """Learn from a panel; see `trader.core.protocols.Model` and `trader.models.transformer_fit.fit_network`."""
        self._exact = MappingProxyType({})
        self._fitted = fit_network(
            self,
            features,
            target,
            tuple(feature_names),
            seed=seed,
            instants=instants,
            weight=weight,
            monitor=monitor,
        )
        return self

    def predict_panel(self, features: FloatArray, n_context: int = 0) -> FloatArray:
        """Score all but the first `n_context` instants; see `trader.core.protocols.Model`."""
        return self.forecast(features, n_context).score

    def forecast(self, features: FloatArray, n_context: int = 0) -> Forecast:
        """Return scores, chances, quantiles and volatility of all but the first `n_context` instants.

        Raises
        ------
        ModelError
            If the model is not fitted.
        DataError
            If the features are not a panel of the fitted schema.
        """
        fitted = self._ready()
        n_asked, n_symbols = self._asked(features, n_context)
        found = OutputArrays(*(np.full((n_asked, n_symbols, *[len(LEVELS)] * (k == 3)), np.nan) for k in range(4)))

        def score(rows: slice, windows: Windows) -> None:
            outputs = fitted.network(windows, last=True)
            for field in dataclasses.fields(OutputArrays):
                tensor = getattr(outputs, field.name)[: rows.stop - rows.start, :, 0]
                getattr(found, field.name)[rows] = tensor.double().cpu().numpy()

        self._by_chunks(score, features, n_context)
        found = fitted.calibration(found)
        asked = features[n_context:]
        known = np.isfinite(asked).sum(axis=2) >= min_known(len(fitted.names))
        return Forecast(
            score=np.where(known, fitted.target_scale * found.mean, np.nan),
            probability_up=np.where(known, expit(found.logit), np.nan),
            quantiles=np.where(known[..., None], fitted.target_scale * found.quantiles, np.nan),
            levels=LEVELS,
            volatility=np.where(known, fitted.target_scale * found.deviation, np.nan),
        )

    def predict_windows(self, panels: FloatArray) -> FloatArray:
        """Score the last instant of each of many panels (n_panels, n_instants, n_symbols, n_features).

        Returns
        -------
        ndarray of shape (n_panels, n_symbols)
            The bits of `predict_panel` of each panel alone, which costs several times as much.
        """
        fitted = self._ready()
        n_past = panels.shape[1] - 1
        mean = np.empty((panels.shape[0], panels.shape[2]))
        with threads(1), torch.inference_mode():
            for chunk in chunks_of(len(panels), (CHUNK,)):
                windows = [self.windows(panel, n_past) for panel in panels[chunk.start : chunk.stop]]
                batch = joined(windows + windows[-1:] * (chunk.size - len(windows)))
                outputs = fitted.network(batch, last=True).mean[: len(windows), :, 0]
                mean[chunk.start : chunk.stop] = outputs.double().cpu().numpy()
        known = np.isfinite(panels[:, -1]).sum(axis=2) >= min_known(len(fitted.names))
        return np.where(known, fitted.target_scale * (fitted.calibration.slope * mean), np.nan)

    def attention(self, features: FloatArray, n_context: int = 0) -> AttentionMaps:
        """Return where the model looks when it scores all but the first `n_context` instants.

        The weights are computed without the fused kernel, from the same queries and keys.

        Raises
        ------
        ModelError, DataError
            As `forecast`.
        """
        network = self._ready().network
        n_asked, n_symbols = self._asked(features, n_context)
        half, n_patches = self.n_heads // 2, self.context // self.patch
        time = np.empty((n_asked, self.n_layers, n_symbols, half, n_patches))
        assets = np.empty((n_asked, self.n_layers, half, n_symbols, n_symbols))

        def look(rows: slice, windows: Windows) -> None:
            weights: list[AttentionWeights] = []
            network(windows, last=True, attention=weights)
            used = rows.stop - rows.start
            for layer, found in enumerate(weights):
                time[rows, layer] = found.time[:used].double().cpu().numpy()
                assets[rows, layer] = found.assets[:used].double().cpu().numpy()

        self._by_chunks(look, features, n_context)
        return AttentionMaps(time, assets)

    def windows(self, features: FloatArray, n_context: int = 0) -> Windows:
        """Return the inputs of the network for all but the first `n_context` instants, one window each."""
        n_asked, _ = self._asked(features, n_context)
        return self._source(features, n_context).windows(torch.arange(n_asked, device=device_of(self.device)))

    def save(self, folder: Path) -> None:
        """Write `model.json` and `arrays.safetensors` into `folder`, which must exist."""
        fitted = self._ready()
        network = {f"network.{key}": tensor.cpu().numpy() for key, tensor in fitted.network.state_dict().items()}
        encoder = {f"encoder.{key}": array for key, array in fitted.encoder.arrays().items()}
        calibration = {f"calibration.{key}": array for key, array in dataclasses.asdict(fitted.calibration).items()}
        state = {
            "name": self.name,
            "feature_names": list(fitted.names),
            "params": self.params,
            "n_symbols": fitted.network.config.n_symbols,
            "target_scale": fitted.target_scale,
            "history": {
                "epochs": [dict(epoch) for epoch in fitted.history.epochs],
                "best_epoch": fitted.history.best_epoch,
                "stopped_because": fitted.history.stopped_because,
            },
        }
        write_state(folder, state, network | encoder | calibration)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; anything else raises ModelError naming the folder."""
        try:
            state, arrays = read_state(folder, cls.name)
            model = cls(**state["params"])
            model._fitted = model._read(state, arrays)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, DataError) as error:
            raise ModelError(f"{folder} does not hold a readable {cls.name!r} model: {error!r}") from error
        return model

    def _read(self, state: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Fitted:
        """Return the state that `save` wrote, the network on the device of this machine."""
        parts: dict[str, dict[str, NDArray[Any]]] = {"network": {}, "encoder": {}, "calibration": {}}
        for key, array in arrays.items():
            part, _, name = key.partition(".")
            parts[part][name] = array
        names = tuple(state["feature_names"])
        encoder = PanelEncoder.from_arrays(names, parts["encoder"])
        device = device_of(self.device)
        with reproducible(0, torch.device("cpu"), 1):
            network = MarketTransformer(network_config(self, encoder, state["n_symbols"]))
        network.load_state_dict({key: torch.from_numpy(array) for key, array in parts["network"].items()})
        history = state["history"]
        return Fitted(
            names,
            encoder,
            network.to(device).eval(),
            TailCalibration(**parts["calibration"]),
            float(state["target_scale"]),
            History(tuple(history["epochs"]), history["best_epoch"], history["stopped_because"]),
        )

    def _ready(self) -> Fitted:
        if self._fitted is None:
            raise ModelError(f"{self.name} is not fitted; call fit_panel or load before it is asked")
        return self._fitted

    def _asked(self, features: FloatArray, n_context: int) -> tuple[int, int]:
        """Return how many instants are asked for and how many symbols there are."""
        check_asked(features, n_context, len(self._ready().names))
        return features.shape[0] - n_context, features.shape[1]

    def _source(self, features: FloatArray, n_context: int) -> WindowSource:
        """Return windows that end at the instants asked for; instants before the panel are unknown."""
        first = max(0, n_context - (self.context - 1))
        unknown = self.context - 1 - (n_context - first)
        encoded = self._ready().encoder(features[first:], unknown)
        return WindowSource(encoded, self.context, self.patch, device_of(self.device))

    def _by_chunks(self, work: Callable[[slice, Windows], None], features: FloatArray, n_context: int) -> None:
        """Do some work with rows of the answer and their windows.

        On the processor chunks are shared out among the threads that torch may use, a chunk to a thread: the bits are
        those of one window on one thread.
        """
        n_asked = features.shape[0] - n_context
        if n_asked * features.shape[1] == 0:
            return
        source = self._source(features, n_context)
        on_cpu = source.device.type == "cpu"

        def at(chunk: Chunk) -> None:
            with torch.inference_mode():
                ends = torch.arange(chunk.start, chunk.start + chunk.size, device=source.device).clamp(max=n_asked - 1)
                work(slice(chunk.start, chunk.stop), source.windows(ends))

        n_threads = torch.get_num_threads() if on_cpu else 1
        with threads(1):
            chunks = chunks_of(n_asked, self._sizes(source, n_asked) if on_cpu else (min(n_asked, GPU_CHUNK),))
            if (n_workers := min(len(chunks), n_threads)) == 1:
                for chunk in chunks:
                    at(chunk)
                return
            for _ in workers(n_workers).map(at, chunks):
                pass

    def _sizes(self, source: WindowSource, n_asked: int) -> tuple[int, ...]:
        """Return sizes of chunks in which all windows of a universe have the same bits."""
        useful = sizes_for(n_asked)
        for size in useful:
            if (source.n_symbols, size) not in self._exact:
                like = source.windows(torch.zeros(1, dtype=torch.long))
                exact = is_exact(self._ready().network, like, size)
                self._exact = {**self._exact, (source.n_symbols, size): exact}
        return (CHUNK, *(size for size in useful if self._exact[source.n_symbols, size]))
