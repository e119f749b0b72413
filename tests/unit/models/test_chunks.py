"""Windows have the same bits alone, among few and among many."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.support.panels import planted_set
from trader.models.chunks import CHUNK, NARROW_CHUNK, WIDE_CHUNK, chunks_of
from trader.models.transformer import Heads, NetworkConfig
from trader.models.transformer_model import Transformer


@pytest.mark.parametrize("sizes", [(CHUNK,), (CHUNK, WIDE_CHUNK), (CHUNK, WIDE_CHUNK, NARROW_CHUNK)])
@pytest.mark.parametrize("n_asked", [1, 2, 3, 7, 8, 31, 32, 33, 71, 96])
def test_chunks_cover_every_row_once(n_asked: int, sizes: tuple[int, ...]) -> None:
    """Each row is in one chunk, in order, and none is larger than what is computed."""
    chunks = chunks_of(n_asked, sizes)
    assert [row for chunk in chunks for row in range(chunk.start, chunk.stop)] == list(range(n_asked))
    assert {chunk.size for chunk in chunks} <= set(sizes)
    assert all(0 < chunk.stop - chunk.start <= chunk.size for chunk in chunks)


def test_softplus_depends_on_the_number_alone() -> None:
    """The deviation of a token has the same bits whatever is computed beside it."""
    heads = Heads(NetworkConfig(4, 2, 0, 0, 1, 8, 2, 1, 8, 0.0, 0.0, levels=(0.1, 0.5, 0.9)))
    heads.linear = torch.nn.Identity()  # type: ignore[assignment]  # whose sums do depend on the shape
    x = torch.randn(200, 1, 1, 6, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        whole = heads(x)
        for n in (1, 2, 7, 30, 100):
            assert torch.equal(heads(x[:n]).deviation, whole.deviation[:n])
            assert torch.equal(heads(x[:n]).quantiles, whole.quantiles[:n])


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("n_symbols", [1, 5])
def test_many_windows_have_the_bits_of_one(n_symbols: int, threads: int) -> None:
    """Whatever the kernels of this processor do with wide chunks, a prediction of many is that of each."""
    from trader.models.torch_scope import threads as torch_threads

    data = planted_set()
    features, target = data.features[:, :n_symbols], data.target[:, :n_symbols]
    model = Transformer(context=4, d_model=16, n_heads=2, n_layers=1, epochs=1)
    model.fit_panel(features, target, feature_names=data.feature_names, seed=3)
    past = model.context - 1
    panel = features[: WIDE_CHUNK + 5 + past]
    alone = np.concatenate([model.predict_panel(panel[at : at + 1 + past], past) for at in range(WIDE_CHUNK + 5)])
    with torch_threads(threads):
        np.testing.assert_array_equal(model.predict_panel(panel, past), alone)
