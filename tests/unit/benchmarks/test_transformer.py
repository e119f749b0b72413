"""The transformer's benchmark: what it compares is comparable, and its part for GPUs runs on a processor too."""

from __future__ import annotations

import pytest
import torch

from benchmarks.transformer import TorchEncoder
from benchmarks.transformer_gpu import matrix_flops, measure_gpu
from trader.models.calibration import LEVELS
from trader.models.transformer import MarketTransformer, NetworkConfig
from trader.models.windows import Windows

CONFIG = NetworkConfig(
    n_values=10,
    n_calendar=0,
    n_market=3,
    n_symbols=5,
    patch=2,
    d_model=48,
    n_heads=4,
    n_layers=2,
    d_feedforward=192,
    dropout=0.2,
    stranger_rate=0.0,
    levels=LEVELS,
)


@pytest.mark.parametrize("together", [False, True])
def test_the_peer_is_of_equal_size(together: bool) -> None:
    """Parameters differ by less than 3 %, and outputs have the same shapes."""
    torch.manual_seed(0)
    ours, peer = MarketTransformer(CONFIG), TorchEncoder(CONFIG, 4, together=together)
    sizes = [sum(p.numel() for p in network.parameters()) for network in (ours, peer)]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.03)
    shape = (2, 5, 4)
    windows = Windows(
        torch.randn(*shape, 20),
        torch.zeros(*shape, 0),
        torch.randn(*shape, 3),
        torch.zeros(shape),
        torch.zeros(shape) > 0,
    )
    assert ours(windows).quantiles.shape == peer(windows).quantiles.shape == (*shape, len(LEVELS))


def test_a_sequence_a_symbol_reads_no_later_instant() -> None:
    """The cheaper peer is causal, as ours is along time."""
    torch.manual_seed(0)
    peer, x = TorchEncoder(CONFIG, 4).eval(), torch.randn(1, 5, 4, 20)
    later = x.clone()
    later[:, :, -1] += 1.0
    empty = torch.zeros(1, 5, 4)
    before, after = (
        peer(Windows(w, empty[..., None][..., :0], empty[..., None], empty, empty > 0)).mean for w in (x, later)
    )
    torch.testing.assert_close(before[:, :, :-1], after[:, :, :-1])
    assert not torch.allclose(before[:, :, -1], after[:, :, -1])


def test_the_part_for_gpus_measures_on_a_processor() -> None:
    """Sequences, operations and latencies of a tiny model are finite and consistent with each other."""
    found = measure_gpu(torch.device("cpu"), "ci", n_symbols=3, batch_size=2, steps=2, peak_size=32)
    assert found.flops == pytest.approx(found.sequences_per_s * 4 * 6 * (4 * 16**2 + 2 * 16 * 64))
    assert found.figures["fraction of the peak"] == pytest.approx(found.flops / found.peak)
    assert found.inference_ms > 0
    assert next(target.met for target in found.targets) == (found.sequences_per_s >= 10_000)


def test_operations_are_six_a_weight() -> None:
    """Of the matrices of all blocks; see Kaplan et al. (2020), "Scaling laws for neural language models"."""
    torch.manual_seed(0)
    blocks = MarketTransformer(CONFIG).blocks
    weights = sum(p.numel() for name, p in blocks.named_parameters() if p.ndim == 2)
    assert matrix_flops(CONFIG) == pytest.approx(6 * weights, rel=0.03)
