"""The market transformer: attention along time and across assets, biased by how busy and how wild a market is.

A window holds `context` instants of all symbols. Each symbol's instants are cut into patches, and a patch becomes a
token [1]_: a linear map of its features, plus when it ended, plus who the symbol is. A block is that of GPT-2, layer
norm first, but its heads are shared out: half of them look along the symbol's own past (causal), the other half
across the symbols of the same moment. Both cost what their axis is long, N·T·(N + T) pairs instead of (N·T)².

*Market attention.* A logit is ``q·k / √d + bias(key)``. The bias is learnt from volume and volatility of the key's
patch, adds a slope over time for recency (ALiBi [2]_, whose bias of a distance is one of the key alone, up to a
constant that the softmax takes out), and is hugely negative where the key's symbol is missing. A bias of the key alone
is one more dimension of the dot product: a constant in the query, the bias in the key. So one dimension of a head is
given to it and any fused kernel for attention does, causal or not, without a mask in memory.

Every token predicts, from what was known at the end of its patch: T labels a symbol and window in training. A score
needs the last token alone, so a prediction computes the last block for it alone (`last=True`).

Shapes: B windows, N symbols, T patches, d model width, H heads of which h = H / 2 an axis, e = d / H.

References
----------
.. [1] Nie, Nguyen, Sinthong and Kalagnanam (2023), "A time series is worth 64 words".
.. [2] Press, Smith and Lewis (2022), "Train short, test long: attention with linear biases".
"""

from __future__ import annotations

import dataclasses
import math
from statistics import NormalDist

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from trader.models.temporal import AGE_DECAYS
from trader.models.windows import Windows

__all__ = [
    "AttentionWeights",
    "MarketTransformer",
    "NetworkConfig",
    "Outputs",
    "attention_weights",
    "fused_attention",
    "normal_quantiles",
]

_MISSING = -1e4
_VECTORS = 64
"""Numbers that kernels take at once, or a multiple of them."""
_BIAS_HIDDEN = 16
_BIAS_LIMIT = 8.0
_SOFTPLUS_ONE = math.log(math.e - 1.0)
_LEAST_DEVIATION = 1e-2
_PROBIT_TO_LOGIT = 1.702
"""Φ(x) is within 0.01 of the logistic function of 1.702 x."""


@dataclasses.dataclass(frozen=True, slots=True)
class NetworkConfig:
    """Sizes of the network.

    Parameters
    ----------
    n_values, n_calendar, n_market : int
        Widths of the inputs; see `trader.models.encoding.Encoded`.
    n_symbols : int
        Symbols that have an embedding of their own, by position; all others share one. 0: all are alike.
    patch : int
        Instants in a token.
    d_model, n_heads, n_layers, d_feedforward : int
        `d_model` is a multiple of 2 · `n_heads`, and `n_heads` is even.
    dropout : float
        Of what each half of a block adds.
    stranger_rate : float
        Chance in training that a symbol goes by the embedding that strangers share.
    levels : tuple of float
        Of the quantiles, rising, the middle one being 0.5.
    """

    n_values: int
    n_calendar: int
    n_market: int
    n_symbols: int
    patch: int
    d_model: int
    n_heads: int
    n_layers: int
    d_feedforward: int
    dropout: float
    stranger_rate: float
    levels: tuple[float, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Outputs:
    """What the network says of the target, in units of its standard deviation in training.

    Parameters
    ----------
    mean, deviation, logit : Tensor of shape (B, N, T)
        Expected target, its standard deviation, and the log odds that it is positive.
    quantiles : Tensor of shape (B, N, T, n_levels)
        Not falling along the last axis.
    """

    mean: Tensor
    deviation: Tensor
    logit: Tensor
    quantiles: Tensor


@dataclasses.dataclass(frozen=True, slots=True)
class AttentionWeights:
    """Where one block looks from its last token; weights sum to 1 over the last axis.

    Parameters
    ----------
    time : Tensor of shape (B, N, h, T)
        Over the symbol's own patches, oldest first.
    assets : Tensor of shape (B, h, N, N)
        Of each symbol (third axis) over all.
    """

    time: Tensor
    assets: Tensor


class MarketTransformer(nn.Module):
    """Windows of all symbols in, a distribution of each symbol's target out."""

    decays: Tensor

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        d = config.d_model
        self.patches = nn.Linear(config.patch * config.n_values, d)
        self.moment = nn.Linear(config.n_calendar + len(AGE_DECAYS), d, bias=False)
        self.identity = nn.Embedding(config.n_symbols + 1, d)  # the last is that of strangers
        self.bias = KeyBias(config)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layers))
        self.norm = nn.LayerNorm(d, bias=False)
        self.heads = Heads(config)
        self.dropout = nn.Dropout(config.dropout)
        self.register_buffer("decays", torch.tensor(AGE_DECAYS), persistent=False)
        self.apply(_initialise)
        for name, weight in self.named_parameters():
            if name.endswith(("out.weight", "down.weight")):  # as GPT-2: the residual stream keeps its size
                nn.init.normal_(weight, std=0.5 / math.sqrt(d * 2 * config.n_layers))
        nn.init.zeros_(self.identity.weight[-1:].detach())

    def forward(
        self, windows: Windows, *, last: bool = False, attention: list[AttentionWeights] | None = None
    ) -> Outputs:
        """Return the outputs of all tokens, or of each symbol's last (T = 1).

        Parameters
        ----------
        windows : Windows
        last : bool, default=False
        attention : list, optional
            Gets the weights of each block, which are then computed without the fused kernel.
        """
        x = self.patches(windows.patches)  # (B, N, T, d)
        decayed = torch.exp(-windows.age[..., None] / self.decays)
        x = x + self.moment(torch.cat((windows.calendar, decayed.to(windows.calendar.dtype)), dim=-1))
        x = self.dropout(x + self._identities(windows)[:, :, None])
        biases = self.bias(windows)  # n_layers of (B, N, T, H)
        for number, (block, bias) in enumerate(zip(self.blocks, biases, strict=True)):
            x = block(x, bias, last=last and number == len(self.blocks) - 1, attention=attention)
        outputs: Outputs = self.heads(self.norm(x[:, :, -1:] if last else x))
        return outputs

    def _identities(self, windows: Windows) -> Tensor:
        """Return the embeddings of the symbols (B or 1, N, d)."""
        n_windows, n_symbols = windows.missing.shape[:2]
        stranger = self.config.n_symbols
        who = torch.arange(n_symbols, device=windows.missing.device).clamp(max=stranger)[None]
        if self.training and stranger and self.config.stranger_rate:
            unknown = torch.rand(n_windows, n_symbols, device=who.device) < self.config.stranger_rate
            who = torch.where(unknown, stranger, who)
        embedded: Tensor = self.identity(who)
        return embedded


class KeyBias(nn.Module):
    """What a key adds to every logit that looks at it, for each block and head."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.shape = (config.n_layers, config.n_heads)
        self.hidden = nn.Linear(config.n_market, _BIAS_HIDDEN) if config.n_market else None
        self.market = nn.Linear(_BIAS_HIDDEN, config.n_layers * config.n_heads, bias=False)
        half = config.n_heads // 2
        slopes = 2.0 ** -torch.linspace(1.0, 4.0, half)  # from looking back a patch or two to looking back far
        self.slopes = nn.Parameter(slopes.repeat(config.n_layers, 1))

    def forward(self, windows: Windows) -> tuple[Tensor, ...]:
        """Return the bias of each block (B, N, T, H): heads along time first, then heads across assets."""
        n_layers, n_heads = self.shape
        n_patches = windows.missing.shape[2]
        back = torch.arange(1 - n_patches, 1, device=windows.missing.device, dtype=self.slopes.dtype)  # (T,)
        recency = self.slopes[:, None] * back[:, None]  # (L, T, h)
        bias = F.pad(recency, (0, n_heads - recency.shape[2]))[:, None, None]  # (L, 1, 1, T, H)
        if self.hidden is not None:
            market = self.market(F.gelu(self.hidden(windows.market)))  # (B, N, T, L * H)
            market = market.clamp(-_BIAS_LIMIT, _BIAS_LIMIT).view(*market.shape[:3], n_layers, n_heads)
            bias = bias + market.movedim(3, 0)
        return bias.masked_fill(windows.missing[None, ..., None], _MISSING).unbind(0)


class Block(nn.Module):
    """Attention along both axes at once, then a feed-forward net; layer norm first."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        d = config.d_model
        self.n_heads = config.n_heads
        self.width = d // config.n_heads
        self.norm = nn.LayerNorm(d, bias=False)
        self.query = nn.Linear(d, config.n_heads * (self.width - 1), bias=False)
        self.key = nn.Linear(d, config.n_heads * (self.width - 1), bias=False)
        self.value = nn.Linear(d, d, bias=False)
        self.out = nn.Linear(d, d, bias=False)
        self.norm_forward = nn.LayerNorm(d, bias=False)
        self.up = nn.Linear(d, config.d_feedforward)
        self.down = nn.Linear(config.d_feedforward, d)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, bias: Tensor, *, last: bool, attention: list[AttentionWeights] | None) -> Tensor:
        """Return x (B, N, T, d) after the block; of the last tokens alone (B, N, 1, d) if `last`."""
        normed = self.norm(x)
        x = x[:, :, -1:] if last else x
        x = x + self.dropout(self.out(self._attend(normed, bias, last, attention)))
        added: Tensor = self.dropout(self.down(F.gelu(self.up(self.norm_forward(x)))))
        return x + added

    def _attend(self, x: Tensor, bias: Tensor, last: bool, attention: list[AttentionWeights] | None) -> Tensor:
        asking = x[:, :, -1:] if last else x
        q = self._heads(self.query(asking))  # (B, N, T or 1, H, e - 1)
        k, v = self._heads(self.key(x)), self._heads(self.value(x))  # (B, N, T, H, e - 1), (B, N, T, H, e)
        q = torch.cat((q, q.new_full((*q.shape[:-1], 1), math.sqrt(self.width))), dim=-1)
        k = torch.cat((k, bias.to(k.dtype).expand(k.shape[:-1])[..., None]), dim=-1)
        along, across = slice(None, self.n_heads // 2), slice(self.n_heads // 2, None)
        moment = slice(-1, None) if last else slice(None)
        in_time = [part[:, :, :, along].transpose(2, 3) for part in (q, k, v)]  # (B, N, h, T, e)
        of_assets = [part[:, :, moment, across].permute(0, 2, 3, 1, 4) for part in (q, k, v)]  # (B, T, h, N, e)
        if attention is not None:
            attention.append(
                AttentionWeights(attention_weights(*in_time[:2])[..., -1, :], attention_weights(*of_assets[:2])[:, -1])
            )
        own = fused_attention(*in_time, causal=not last).transpose(2, 3)  # (B, N, T or 1, h, e)
        others = fused_attention(*of_assets, causal=False).permute(0, 3, 1, 2, 4)  # (B, N, T or 1, h, e)
        return torch.cat((own, others), dim=3).flatten(3)

    def _heads(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:3], self.n_heads, -1)


class Heads(nn.Module):
    """From a token to the distribution of its target.

    The mean is free. The other outputs are what a normal distribution with that mean and deviation would have, plus
    what the token knows better, which is nothing at first: so every part of the loss teaches the mean.
    """

    shape: Tensor

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.middle = config.levels.index(0.5)
        self.linear = nn.Linear(config.d_model, 3 + len(config.levels))
        spacing = torch.tensor(normal_quantiles(config.levels)).diff()
        shape = torch.cat((_inverse_softplus(spacing), torch.zeros(1)))  # the last place is the shift of the median
        self.register_buffer("shape", shape, persistent=False)

    def forward(self, x: Tensor) -> Outputs:
        """Return the outputs of tokens x (B, N, T, d)."""
        raw = self.linear(x).float()  # (B, N, T, 3 + n_levels)
        mean = raw[..., 0]
        deviation = _softplus(raw[..., 1] + _SOFTPLUS_ONE) + _LEAST_DEVIATION
        logit = _PROBIT_TO_LOGIT * mean / deviation + raw[..., 2]
        form = raw[..., 3:] + self.shape
        steps = _softplus(form[..., :-1])
        above = steps[..., self.middle :].cumsum(-1)
        below = -steps[..., : self.middle].flip(-1).cumsum(-1).flip(-1)
        spread = torch.cat((below, torch.zeros_like(below[..., :1]), above), dim=-1) + form[..., -1:]
        return Outputs(mean, deviation, logit, mean[..., None] + deviation[..., None] * spread)


def normal_quantiles(levels: tuple[float, ...]) -> list[float]:
    """Return the quantiles of the standard normal distribution.

    >>> [round(z, 3) for z in normal_quantiles((0.05, 0.5, 0.95))]
    [-1.645, 0.0, 1.645]
    """
    return [NormalDist().inv_cdf(level) for level in levels]


def fused_attention(q: Tensor, k: Tensor, v: Tensor, *, causal: bool) -> Tensor:
    """Return the fused attention of (A, B, h, S, e) tensors; kernels take one batch dimension."""
    fused = F.scaled_dot_product_attention(q.flatten(0, 1), k.flatten(0, 1), v.flatten(0, 1), is_causal=causal)
    return fused.view(*q.shape[:2], *fused.shape[1:])


def attention_weights(q: Tensor, k: Tensor) -> Tensor:
    """Return the weights (…, S, S') of the last S of S' positions, which may look at all."""
    return torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]), dim=-1)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.5 / math.sqrt(module.in_features))
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _softplus(x: Tensor) -> Tensor:
    """Return the softplus, whose bits depend on the number alone.

    Kernels compute what is left over of their vectors by another function, so there is nothing left over here.
    """
    if torch.compiler.is_compiling():  # its kernels are not those
        return F.softplus(x)
    filled = F.pad(x.reshape(-1), (0, -x.numel() % _VECTORS))
    return F.softplus(filled)[: x.numel()].view(x.shape)


def _inverse_softplus(x: Tensor) -> Tensor:
    return x + torch.log(-torch.expm1(-x))
