"""The network: its attention is the formula's, nothing reads the future or the missing, and its outputs are sound."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from sklearn.metrics import mean_pinball_loss

from trader.models.calibration import LEVELS
from trader.models.transformer import AttentionWeights, Block, MarketTransformer, NetworkConfig, Outputs
from trader.models.transformer_training import TrainingPlan, joint_loss, optimiser
from trader.models.windows import Windows

CONFIG = NetworkConfig(
    n_values=3,
    n_calendar=2,
    n_market=2,
    n_symbols=4,
    patch=1,
    d_model=16,
    n_heads=4,
    n_layers=2,
    d_feedforward=32,
    dropout=0.0,
    stranger_rate=0.0,
    levels=LEVELS,
)
N_SYMBOLS, N_PATCHES = 4, 5


@pytest.fixture
def network() -> MarketTransformer:
    torch.manual_seed(0)
    return MarketTransformer(CONFIG).eval()


@pytest.fixture
def windows() -> Windows:
    generator = torch.Generator().manual_seed(1)

    def normal(width: int) -> torch.Tensor:
        return torch.randn(2, N_SYMBOLS, N_PATCHES, width, generator=generator)

    missing = torch.zeros(2, N_SYMBOLS, N_PATCHES, dtype=torch.bool)
    return Windows(normal(3), normal(2), normal(2), torch.zeros(2, N_SYMBOLS, N_PATCHES), missing)


def _tensors(outputs: Outputs) -> list[torch.Tensor]:
    return [getattr(outputs, field.name) for field in dataclasses.fields(Outputs)]


def test_attention_is_the_softmax_of_products_and_bias() -> None:
    """The fused kernel with a bias in its last dimension gives, head by head, what the formula gives."""
    torch.manual_seed(2)
    block = Block(CONFIG)
    x = torch.randn(1, N_SYMBOLS, N_PATCHES, CONFIG.d_model)
    bias = 2.0 * torch.randn(1, N_SYMBOLS, N_PATCHES, CONFIG.n_heads)
    found = block._attend(x, bias, last=False, attention=None)
    width = CONFIG.d_model // CONFIG.n_heads
    for head in range(CONFIG.n_heads):
        narrow, wide = (slice(head * size, (head + 1) * size) for size in (width - 1, width))
        q, k = x[0] @ block.query.weight[narrow].T, x[0] @ block.key.weight[narrow].T
        v = x[0] @ block.value.weight[wide].T
        for symbol in range(N_SYMBOLS):
            for patch in range(N_PATCHES):
                along_time = head < CONFIG.n_heads // 2
                seen = (symbol, slice(patch + 1)) if along_time else (slice(None), patch)
                logits = k[seen] @ q[symbol, patch] / math.sqrt(width) + bias[0][(*seen, head)]
                expected = torch.softmax(logits, dim=0) @ v[seen]
                torch.testing.assert_close(found[0, symbol, patch, wide], expected, atol=1e-5, rtol=1e-4)


def test_the_last_token_alone_is_the_last_of_all(network: MarketTransformer, windows: Windows) -> None:
    """A prediction, which computes less, says what training would say of the last patch."""
    for last, every in zip(_tensors(network(windows, last=True)), _tensors(network(windows)), strict=True):
        torch.testing.assert_close(last[:, :, 0], every[:, :, -1])


def test_no_token_reads_a_later_patch(network: MarketTransformer, windows: Windows) -> None:
    """Another last patch of all symbols changes no output before it."""
    changed = dataclasses.replace(windows, patches=windows.patches.clone(), market=windows.market.clone())
    changed.patches[:, :, -1] += 3.0
    changed.market[:, :, -1] += 3.0
    for before, after in zip(_tensors(network(windows)), _tensors(network(changed)), strict=True):
        assert torch.equal(before[:, :, :-1], after[:, :, :-1])
        assert not torch.equal(before[:, :, -1], after[:, :, -1])


def test_nobody_reads_a_missing_symbol(network: MarketTransformer, windows: Windows) -> None:
    """What stands in the place of a symbol that is not there changes no other symbol."""
    windows.missing[:, 1] = True
    changed = dataclasses.replace(windows, patches=windows.patches.clone())
    changed.patches[:, 1] += 3.0
    before, after = network(windows).mean, network(changed).mean
    others = [0, 2, 3]
    assert torch.equal(before[:, others], after[:, others])


def test_without_embeddings_symbols_are_known_by_their_features_alone(windows: Windows) -> None:
    """Reordering symbols reorders the outputs and does nothing else."""
    torch.manual_seed(0)
    network = MarketTransformer(dataclasses.replace(CONFIG, n_symbols=0)).eval()
    order = torch.tensor([2, 0, 3, 1])
    fields = {field.name: getattr(windows, field.name)[:, order] for field in dataclasses.fields(Windows)}
    torch.testing.assert_close(network(Windows(**fields)).mean, network(windows).mean[:, order])


def test_more_symbols_than_in_the_fit_share_one_embedding(network: MarketTransformer) -> None:
    """Two strangers with equal features get equal outputs; two that are known do not."""
    alike = torch.ones(1, 6, N_PATCHES, 1)
    windows = Windows(
        alike.expand(-1, -1, -1, 3),
        alike.expand(-1, -1, -1, 2),
        alike.expand(-1, -1, -1, 2),
        alike[..., 0] - 1,
        alike[..., 0] < 0,
    )
    mean = network(windows, last=True).mean[0, :, 0]
    assert torch.isclose(mean[4], mean[5])
    assert not torch.isclose(mean[0], mean[1])


def test_attention_weights_are_shares(network: MarketTransformer, windows: Windows) -> None:
    """They sum to one, none is for a missing symbol, and asking for them changes the outputs by rounding alone."""
    windows.missing[:, 3] = True
    weights: list[AttentionWeights] = []
    outputs = network(windows, last=True, attention=weights)
    torch.testing.assert_close(outputs.mean, network(windows, last=True).mean)
    assert len(weights) == CONFIG.n_layers
    for found in weights:
        assert found.time.shape == (2, N_SYMBOLS, 2, N_PATCHES)
        torch.testing.assert_close(found.time.sum(-1), torch.ones(2, N_SYMBOLS, 2))
        torch.testing.assert_close(found.assets.sum(-1), torch.ones(2, 2, N_SYMBOLS))
        assert found.assets[:, :, :3, 3].max() == 0


def test_a_new_head_says_a_normal_distribution(network: MarketTransformer, windows: Windows) -> None:
    """With no weights in the head, quantiles are those of N(0, 1) and do not cross; see `scipy.stats.norm`."""
    from scipy.stats import norm

    torch.nn.init.zeros_(network.heads.linear.weight)
    outputs = network(windows)
    expected = torch.tensor(norm.ppf(LEVELS), dtype=torch.float32)
    torch.testing.assert_close(outputs.quantiles[0, 0, 0], expected * outputs.deviation[0, 0, 0], atol=1e-5, rtol=1e-5)
    assert outputs.deviation[0, 0, 0].item() == pytest.approx(1.01)


def test_the_loss_is_three_proper_scores() -> None:
    """Log score of the direction, pinball loss and Gaussian log score, as torch and scikit-learn compute them."""
    generator = torch.Generator().manual_seed(3)
    y, mean, logit = (torch.randn(2, 3, 4, generator=generator) for _ in range(3))
    deviation = torch.rand(2, 3, 4, generator=generator) + 0.5
    quantiles = torch.randn(2, 3, 4, len(LEVELS), generator=generator).sort(-1).values
    weight = torch.rand(2, 3, 4, generator=generator)
    weight[0, 0] = 0.0
    found = joint_loss(Outputs(mean, deviation, logit, quantiles), y, weight, LEVELS)
    w = weight.flatten().numpy()
    up = torch.nn.functional.binary_cross_entropy(torch.sigmoid(logit), (y > 0).float(), reduction="none")
    gauss = -torch.distributions.Normal(mean, deviation).log_prob(y) - 0.5 * math.log(2 * math.pi)
    pinball = np.mean(
        [
            mean_pinball_loss(y.flatten(), quantiles[..., k].flatten(), sample_weight=w, alpha=level)
            for k, level in enumerate(LEVELS)
        ]
    )
    expected = np.average((up + gauss).flatten().numpy(), weights=w) + pinball
    assert float(found) == pytest.approx(float(expected), abs=1e-5)


def test_only_matrices_decay(network: MarketTransformer) -> None:
    """Biases, gains, slopes and embeddings of symbols are left as large as they want to be."""
    plan = TrainingPlan(1, 1, 1e-3, 0.5, 0.1, 1.0, 1)
    decayed, free = optimiser(network, plan).param_groups
    assert decayed["weight_decay"] == 0.5
    assert free["weight_decay"] == 0.0
    assert any(p is network.identity.weight for p in free["params"])
    assert any(p is network.patches.weight for p in decayed["params"])
    n_parameters = len(list(network.parameters()))
    assert len(decayed["params"]) + len(free["params"]) == n_parameters
