"""The next-scale transformer: the tokens of a scale from the scales before (VAR, Tian et al. 2024).

::

    words ─ table ─ MLP ──────┐
    picture ─ convolutions ───┤                                  ┌─> box tokens, one after the other
    start, box tokens ────────┼─(cat)─ blocks, causal by block ──┤
    latent of the scales      │                                  └─> tokens of each scale, 256 logits each
    before, at this one's side│
    tokens of it that are known

A block of the sequence (the conditions; each box token; each scale) sees itself and those before it.
The input of a scale is what the scales before add up to, so that all of its tokens can be predicted together.
Drawn together they would not know of each other: where a shape may be thick or thin, one cell would be the
one and its neighbour the other. So a scale may also be given some of its own tokens (MaskGIT, Chang et al.
2022), and is drawn a few at a time.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from meshcodec.config import PLANES, ModelConfig, PriorConfig
from meshcodec.model.layers import Block
from meshcodec.model.quantizer import MultiScaleQuantizer, resize
from meshcodec.prior.box import BOX_TOKENS, BOX_VALUES


@dataclass(frozen=True)
class Conditions:
    """What the shapes of a batch should be like.

    Attributes
    ----------
    words : (W,) rows of the table of words, those of all shapes one after the other
    offsets : (B,) where the words of each shape begin; a shape without any has no text
    views : (B, side, side) brightness from 0 to 1
    with_view : (B,) bool, whether the view counts
    """

    words: Tensor
    offsets: Tensor
    views: Tensor
    with_view: Tensor

    @classmethod
    def none(cls, batch: int, config: PriorConfig, device: torch.device) -> Conditions:
        """No condition at all."""
        side = config.image_side
        return cls(
            torch.zeros(0, dtype=torch.long, device=device),
            torch.zeros(batch, dtype=torch.long, device=device),
            torch.zeros(batch, side, side, device=device),
            torch.zeros(batch, dtype=torch.bool, device=device),
        )


Past = list[tuple[Tensor, Tensor]]
"""Keys and values, (B, heads, T, channels), of what a sequence began with, for each transformer block."""
Groups = list[tuple[int, Tensor | None]]
"""Lengths of groups of tokens that follow each other, and what each token sees of its group; None: all."""
UNKNOWN = 256
"""Stands for a token that is to be predicted."""
_SMALL = 64
"""Longest block of a sequence that is computed together with others, see `_groups`."""


class CachedBlock(Block):
    """A transformer block that goes on with a sequence of which it keeps keys and values."""

    def __init__(self, width: int, heads: int, mlp_ratio: int, dropout: float) -> None:
        super().__init__(width, heads, mlp_ratio)
        self.dropout = dropout

    def extend(
        self, x: Tensor, past: tuple[Tensor, Tensor] | None, groups: Groups
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """(B, T, width) of groups of tokens: each sees all of `past`, the groups before it, and itself."""
        B, T, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(B, T, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        if past is not None:
            k, v = torch.cat([past[0], k], dim=2), torch.cat([past[1], v], dim=2)
        end, seen = k.shape[2] - T, []
        for part, (length, mask) in zip(
            q.split([length for length, _ in groups], dim=2), groups, strict=True
        ):
            end += length
            # On a CPU the plain products are faster than the fused kernel, backwards above all.
            scores = (part * part.shape[-1] ** -0.5) @ k[:, :, :end].transpose(-1, -2)
            if mask is not None:
                scores = scores.masked_fill(~mask, -torch.inf)
            seen.append(scores.softmax(-1).to(v.dtype) @ v[:, :, :end])
        x = x + self._dropped(self.project(torch.cat(seen, dim=2).transpose(1, 2).reshape(B, T, width)))
        x = x + self._dropped(self.down(F.gelu(self.up(self.norm2(x)))))
        return x, (k, v)

    def _dropped(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training) if self.dropout else x


class NextScaleTransformer(nn.Module):
    """Logits of the box and the tokens of shapes.

    Parameters
    ----------
    config : shape of the transformer
    tokenizer : shape of the model whose tokens these are
    """

    def __init__(self, config: PriorConfig, tokenizer: ModelConfig) -> None:
        super().__init__()
        self.config, self.tokenizer = config, tokenizer
        width = config.width
        self.counts = tokenizer.scale_tokens[: config.scales]
        self.words = nn.EmbeddingBag(config.word_buckets, config.word_channels, mode="mean")
        self.text = nn.Sequential(nn.Linear(config.word_channels, width), nn.GELU(), nn.Linear(width, width))
        channels = (1, *config.image_channels, width)
        self.image = nn.Sequential()
        for number, (inner, outer) in enumerate(itertools.pairwise(channels)):
            if number:
                self.image.append(nn.GroupNorm(1, inner))
            self.image.append(nn.Conv2d(inner, outer, 3, stride=2, padding=1))
            if number < len(channels) - 2:
                self.image.append(nn.GELU())
        self.no_text = nn.Parameter(0.02 * torch.randn(width))
        self.no_image = nn.Parameter(0.02 * torch.randn(width))
        self.start = nn.Parameter(0.02 * torch.randn(width))
        self.symbols = nn.Embedding(BOX_TOKENS * BOX_VALUES, width)  # of box tokens; the files know it so
        self.latent = nn.ModuleList(nn.Linear(tokenizer.latent_channels, width) for _ in range(config.scales))
        length = config.condition_tokens + BOX_TOKENS + 1 + sum(self.counts)
        self.position = nn.Parameter(0.02 * torch.randn(length, width))
        self.blocks = nn.ModuleList(
            CachedBlock(width, config.heads, config.mlp_ratio, config.dropout) for _ in range(config.blocks)
        )
        self.norm = nn.LayerNorm(width)
        self.frame_out = nn.Linear(width, BOX_VALUES)
        self.out = nn.ModuleList(nn.Linear(width, 256) for _ in range(config.scales))
        self.tokens = nn.Embedding(257, width)
        nn.init.zeros_(self.tokens.weight)

    def forward(
        self, conditions: Conditions, box: Tensor, contexts: list[Tensor], known: list[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """Logits of whole shapes, for training.

        Parameters
        ----------
        box : (B, 4) box tokens
        contexts : for each scale what it is predicted from, see `scale_contexts`
        known : for each scale (B, 3 n²), its tokens, or `UNKNOWN`

        Returns
        -------
        (B, 4, 16) logits of the box tokens, and for each scale (B, 3 n², 256) logits of its tokens
        """
        parts = [self.condition_inputs(conditions), self.box_inputs(box)]
        scales = zip(contexts, known, strict=True)
        parts += [
            self.scale_inputs(number, context, tokens) for number, (context, tokens) in enumerate(scales)
        ]
        x = torch.cat(parts, dim=1)
        lengths = [parts[0].shape[1], *([1] * parts[1].shape[1]), *(part.shape[1] for part in parts[2:])]
        groups = _groups(lengths, x.device)
        for block in self._blocks():
            x, _ = block.extend(x, None, groups)
        _, boxes, *out = x.split([part.shape[1] for part in parts], dim=1)
        return self.box_logits(boxes[:, :-1]), [self.token_logits(k, part) for k, part in enumerate(out)]

    def extend(self, x: Tensor, past: Past | None) -> tuple[Tensor, Past]:
        """Go on with sequences by a block: (B, T, width) -> what comes out of it, and their whole past."""
        kept = []
        for number, block in enumerate(self._blocks()):
            x, keys = block.extend(x, past[number] if past else None, [(x.shape[1], None)])
            kept.append(keys)
        return x, kept

    def condition_inputs(self, given: Conditions) -> Tensor:
        """(B, condition_tokens, width): words, then the picture; what is not given has its own vector."""
        B = len(given.offsets)
        ends = torch.cat([given.offsets[1:], given.offsets.new_tensor([len(given.words)])])
        has_text = (ends > given.offsets)[:, None]
        text = torch.where(has_text, self.text(self.words(given.words, given.offsets)), self.no_text)
        image = self.image(given.views[:, None]).flatten(2).transpose(1, 2)
        image = torch.where(given.with_view[:, None, None], image, self.no_image)
        tokens = torch.cat([text[:, None], image], dim=1)
        return tokens + self.position[: tokens.shape[1]].expand(B, -1, -1)

    def box_inputs(self, box: Tensor, first: int = 0) -> Tensor:
        """(B, k) the first box tokens -> the inputs from number `first` on, (B, k + 1 - first, width).

        Input 0 is the start, input k the box token k - 1; what comes out for input k says box token k.
        """
        B, count = box.shape
        rows = box + BOX_VALUES * torch.arange(count, device=box.device)
        inputs = torch.cat([self.start.expand(B, 1, -1), self.symbols(rows)], dim=1)
        place = self.config.condition_tokens + first
        return inputs[:, first:] + self.position[place : place + count + 1 - first]

    def scale_inputs(self, number: int, context: Tensor, known: Tensor) -> Tensor:
        """(B, 3, n, n, C) of a scale and (B, 3 n²) tokens or `UNKNOWN` -> its inputs, (B, 3 n², width)."""
        first = self.config.condition_tokens + BOX_TOKENS + 1 + sum(self.counts[:number])
        inputs: Tensor = self.latent[number](context.flatten(1, 3)) + self.tokens(known)
        return inputs + self.position[first : first + self.counts[number]]

    def box_logits(self, x: Tensor) -> Tensor:
        """(B, k, width) -> (B, k, 16) logits of box tokens."""
        logits: Tensor = self.frame_out(self.norm(x))
        return logits

    def token_logits(self, number: int, x: Tensor) -> Tensor:
        """(B, 3 n², width) -> (B, 3 n², 256) logits of the tokens of a scale."""
        logits: Tensor = self.out[number](self.norm(x))
        return logits

    def _blocks(self) -> list[CachedBlock]:
        return [block for block in self.blocks if isinstance(block, CachedBlock)]


def _groups(lengths: list[int], device: torch.device) -> Groups:
    """Blocks of a sequence as groups: the small ones at its beginning are one, with a mask.

    A large block sees all of itself, so that without the mask a third less is to be computed.
    """
    small = list(itertools.takewhile(lambda length: length <= _SMALL, lengths))
    block = torch.repeat_interleave(torch.arange(len(small)), torch.tensor(small)).to(device)
    large: Groups = [(length, None) for length in lengths[len(small) :]]
    return [(sum(small), block[None, :] <= block[:, None]), *large]


@torch.no_grad()
def scale_contexts(quantizer: MultiScaleQuantizer, tokens: Tensor, scales: int) -> list[Tensor]:
    """What each scale is predicted from: the latent of all scales before it, at its own side.

    Parameters
    ----------
    tokens : (B, T) uint8, whole scales, of which the last one of `scales` need not be there

    Returns
    -------
    (B, 3, n, n, C) for each of the first `scales` scales; zeros for the first
    """
    shape = quantizer.config
    S, C = shape.latent_side, shape.latent_channels
    total = torch.zeros(len(tokens), PLANES, S, S, C, device=tokens.device)
    codes = quantizer.to_codes(tokens)
    contexts = []
    for number, codec in enumerate(quantizer.codecs()[:scales]):
        contexts.append(resize(total, codec.side))
        if number < len(codes):
            total = total + codec.expand(codes[number])
    return contexts
