"""Integrated gradients against closed forms and captum."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from trader.core.errors import DataError
from trader.explain.gradients import integrated_gradients


class Small(nn.Module):
    """A network of two inputs of different shapes, far from linear."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Linear(12, 16)
        self.second = nn.Linear(3, 16)
        self.out = nn.Linear(16, 1)

    def forward(self, window: Tensor, market: Tensor) -> Tensor:
        hidden = torch.tanh(3.0 * self.first(window.flatten(1))) * torch.sigmoid(self.second(market))
        return self.out(hidden)[:, 0]


@pytest.fixture
def network() -> Small:
    return Small().double().eval()


@pytest.fixture
def inputs() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return (
        torch.randn(4, 3, dtype=torch.float64, generator=generator),
        torch.randn(3, dtype=torch.float64, generator=generator),
    )


def test_a_quadratic_is_split_as_the_integral_says() -> None:
    """For x'Ax from 0 the attribution is x * (A + A')x / 2, exactly and with few points."""
    rng = np.random.default_rng(0)
    matrix, x = torch.from_numpy(rng.normal(size=(5, 5))), torch.from_numpy(rng.normal(size=5))
    found = integrated_gradients(lambda p: ((p[0] @ matrix) * p[0]).sum(1), (x,), (torch.zeros_like(x),), steps=2)
    want = x * ((matrix + matrix.T) @ x) / 2.0
    assert found.attributions[0].numpy() == pytest.approx(want.numpy(), rel=1e-12)
    assert found.steps == 2
    assert found.gap < 1e-12


def test_captum_agrees(network: Small, inputs: tuple[Tensor, Tensor]) -> None:
    """Captum's quadrature with as many points gives the same numbers, for both inputs."""
    attr = pytest.importorskip("captum.attr")
    baseline = tuple(0.3 * torch.ones_like(part) for part in inputs)
    found = integrated_gradients(lambda p: network(*p), inputs, baseline, steps=40, most_steps=40, batch=7)
    oracle = attr.IntegratedGradients(network).attribute(
        tuple(part[None] for part in inputs),
        baselines=tuple(part[None] for part in baseline),
        n_steps=40,
        method="gausslegendre",
    )
    for ours, theirs in zip(found.attributions, oracle, strict=True):
        assert ours.numpy() == pytest.approx(theirs[0].detach().numpy(), abs=1e-7)  # its weights are float32


def test_attributions_complete_the_score(network: Small, inputs: tuple[Tensor, Tensor]) -> None:
    """They add up to the difference from the baseline; points are doubled until they do, and no further."""
    baseline = tuple(torch.zeros_like(part) for part in inputs)

    def run(**how: float) -> tuple[float, int]:
        found = integrated_gradients(lambda p: network(*p), inputs, baseline, steps=1, **how)  # type: ignore[arg-type]
        assert found.end == pytest.approx(network(*(part[None] for part in inputs)).item())
        assert found.start == pytest.approx(network(*(part[None] for part in baseline)).item())
        return found.gap, found.steps

    rough, fine, cut = run(tolerance=0.1), run(tolerance=1e-9), run(tolerance=1e-9, most_steps=2)
    assert fine[0] < 1e-8 < rough[0]
    assert rough[1] < fine[1]
    assert cut[1] == 2


def test_what_does_not_differ_adds_nothing(network: Small, inputs: tuple[Tensor, Tensor]) -> None:
    """An input equal to its baseline has no attribution."""
    baseline = (torch.zeros_like(inputs[0]), inputs[1])
    found = integrated_gradients(lambda p: network(*p), inputs, baseline)
    assert not found.attributions[1].any()
    assert found.attributions[0].any()


def test_baselines_of_other_shapes_are_refused(network: Small, inputs: tuple[Tensor, Tensor]) -> None:
    """Each input needs a baseline of its own shape."""
    with pytest.raises(DataError, match="baseline"):
        integrated_gradients(lambda p: network(*p), inputs, inputs[:1])
