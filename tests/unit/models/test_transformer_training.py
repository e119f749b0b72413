"""Training: repeatable, keeps its best epoch, and says what stopped it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch

from tests.support.panels import planted_set, small_transformer
from trader.core.errors import ModelError
from trader.models.calibration import LEVELS
from trader.models.dataset import TrainingSet
from trader.models.encoding import PanelEncoder
from trader.models.torch_scope import reproducible
from trader.models.transformer import MarketTransformer
from trader.models.transformer_calibration import OutputArrays, TailCalibration
from trader.models.transformer_fit import network_config, training_plan, with_less_memory
from trader.models.transformer_model import Transformer
from trader.models.transformer_training import Examples, History, train
from trader.models.windows import WindowSource

CPU = torch.device("cpu")
EPOCHS = 6


@pytest.fixture(scope="module")
def data() -> TrainingSet:
    return planted_set()


class Setting:
    """A network and all that its training takes."""

    def __init__(self, data: TrainingSet) -> None:
        self.params = small_transformer(epochs=EPOCHS)
        encoder = PanelEncoder.fit(data.features.reshape(-1, data.features.shape[2]), data.feature_names)
        past = self.params.context - 1
        self.source = WindowSource(encoder(data.features, past), self.params.context, self.params.patch)
        known = np.isfinite(data.target)
        target, weight = (np.pad(a, ((past, 0), (0, 0))) for a in (np.where(known, data.target, 0.0), known))
        self.target, self.weight = (torch.from_numpy(a.astype(np.float32)) for a in (target, weight))
        self.training = Examples(torch.arange(20, 300), self.target.clone(), self.weight)
        self.validation = Examples(torch.arange(310, 400), self.target, self.weight)
        torch.manual_seed(0)
        self.network = MarketTransformer(network_config(self.params, encoder, data.features.shape[1]))

    def train(self, monitor: Callable[[int, int, Mapping[str, float]], bool] | None = None) -> History:
        plan = training_plan(self.params, CPU, self.params.batch_size)
        with reproducible(1, CPU, 1):
            return train(self.network, self.source, self.training, self.validation, plan, seed=1, monitor=monitor)

    def weights(self) -> dict[str, torch.Tensor]:
        return {name: tensor.clone() for name, tensor in self.network.state_dict().items()}


@pytest.fixture
def setting(data: TrainingSet) -> Setting:
    return Setting(data)


def _fit(data: TrainingSet, **params: object) -> Transformer:
    seed = params.pop("seed", 3)
    model = small_transformer(**params)
    return model.fit_panel(data.features, data.target, feature_names=data.feature_names, seed=seed)


def test_a_loss_of_nan_keeps_the_last_good_epoch_and_names_the_batch(setting: Setting) -> None:
    """Labels that turn NaN after two epochs end training in the third, with the weights of a whole epoch."""
    after: dict[int, dict[str, torch.Tensor]] = {}

    def monitor(epoch: int, total: int, metrics: Mapping[str, float]) -> bool:
        after[epoch] = setting.weights()
        if epoch == 2:
            setting.training.target[150] = torch.nan
        return total == EPOCHS and bool(metrics)

    history = setting.train(monitor)
    assert len(history.epochs) == 2
    batches = (300 - 20) // setting.params.batch_size
    found = [f"the loss is nan in batch {k} of {batches} in epoch 3" for k in range(1, batches + 1)]
    assert history.stopped_because in found
    best = after[history.best_epoch]
    assert all(torch.equal(best[name], tensor) for name, tensor in setting.weights().items())
    assert all(torch.isfinite(tensor).all() for tensor in best.values())


def test_a_loss_of_nan_in_the_first_epoch_is_an_error(setting: Setting) -> None:
    """There is nothing to keep; the message names the batch and what to lower."""
    setting.training.target[:] = torch.nan
    with pytest.raises(ModelError, match=r"loss is nan in batch 1 of \d+ in epoch 1; lower learning_rate=0\.005"):
        setting.train()


def test_the_best_epoch_is_the_one_that_is_kept(setting: Setting) -> None:
    """The weights after training are those that had the lowest validation loss."""
    after: dict[int, dict[str, torch.Tensor]] = {}

    def monitor(epoch: int, total: int, metrics: Mapping[str, float]) -> bool:
        after[epoch] = setting.weights()
        return epoch < total and "validation_loss" in metrics

    history = setting.train(monitor)
    losses = [epoch["validation_loss"] for epoch in history.epochs]
    assert history.best_epoch == int(np.argmin(losses)) + 1
    assert history.stopped_because == "ended by the monitor"
    assert all(torch.equal(after[history.best_epoch][name], t) for name, t in setting.weights().items())


def test_equal_seeds_give_equal_curves_and_others_do_not(data: TrainingSet) -> None:
    """Bit for bit, whatever was drawn from torch's generator before; and the caller's generator is left alone."""
    first = _fit(data)
    torch.manual_seed(77)
    state = torch.get_rng_state()
    again, other = _fit(data), _fit(data, seed=4)
    assert first.history == again.history
    assert first.history.epochs != other.history.epochs
    assert torch.equal(torch.get_rng_state(), state)


def test_memory_that_does_not_suffice_halves_the_batch_once() -> None:
    """Torch's errors of both kinds of device count, and Python's own."""

    def attempt(size: int) -> int:
        if size > 16:
            torch.empty(10**15)  # more than any machine has
        return size

    assert with_less_memory(attempt, 32) == 16
    for error in (MemoryError(), torch.OutOfMemoryError("CUDA out of memory")):
        tried: list[int] = []

        def fail(size: int, error: Exception = error, tried: list[int] = tried) -> None:
            tried.append(size)
            raise error

        with pytest.raises(ModelError, match="batch_size=32, nor for 16; lower batch_size, context or d_model"):
            with_less_memory(fail, 32)
        assert tried == [32, 16]


def test_another_failure_is_not_taken_for_memory() -> None:
    """It is raised at once."""

    def attempt(size: int) -> int:
        raise RuntimeError(f"shapes do not match at {size}")

    with pytest.raises(RuntimeError, match="do not match at 32"):
        with_less_memory(attempt, 32)


def test_one_thread_and_two_score_the_same_bits(data: TrainingSet) -> None:
    """Blocks are shared out among threads; predictions do not depend on it, nor does torch's setting."""
    model = _fit(data, epochs=1)
    before, scores = torch.get_num_threads(), []
    for number in (1, 2):
        torch.set_num_threads(number)
        scores.append(model.predict_panel(data.features))
        assert torch.get_num_threads() == number
    torch.set_num_threads(before)
    assert np.array_equal(*scores, equal_nan=True)


def test_windows_score_as_their_panels_do(data: TrainingSet) -> None:
    """`predict_windows` gives the bits of `predict_panel` of each window alone."""
    model = _fit(data, epochs=1)
    past = model.context - 1
    panels = np.stack([data.features[at - past : at + 1] for at in range(100, 119)])
    alone = np.concatenate([model.predict_panel(panel, past) for panel in panels])
    assert np.array_equal(model.predict_windows(panels), alone, equal_nan=True)


def test_the_tail_corrects_what_is_wrong() -> None:
    """Of scores three times too sure and deviations half of the truth, calibration makes honest ones."""
    rng = np.random.default_rng(0)
    n = 20_000
    signal = 0.3 * rng.normal(size=n)
    target = signal + rng.normal(size=n)
    z = np.array([-1.6449, -0.6745, 0.0, 0.6745, 1.6449])
    said = OutputArrays(
        mean=3 * signal, deviation=np.full(n, 0.5), logit=5 * signal, quantiles=signal[:, None] + 0.5 * z
    )
    half = n // 2

    def part(chosen: slice) -> OutputArrays:
        return OutputArrays(said.mean[chosen], said.deviation[chosen], said.logit[chosen], said.quantiles[chosen])

    calibration = TailCalibration.of(part(slice(half)), target[:half], np.ones(half))
    corrected, y = calibration(part(slice(half, n))), target[half:]
    assert corrected.mean @ y / (corrected.mean @ corrected.mean) == pytest.approx(1.0, abs=0.1)
    assert np.std(y - corrected.mean) == pytest.approx(float(corrected.deviation[0]), rel=0.03)
    assert (y[:, None] <= corrected.quantiles).mean(axis=0) == pytest.approx(np.array(LEVELS), abs=0.015)
    for low, high in ((-9.0, -0.3), (0.3, 9.0)):
        chance = 1 / (1 + np.exp(-corrected.logit))
        chosen = (signal[half:] > low) & (signal[half:] < high)
        assert chance[chosen].mean() == pytest.approx((y[chosen] > 0).mean(), abs=0.03)
