"""Every number that shapes the codec, in frozen dataclasses.

No torch here: ``info`` reads the pyramid scales through this.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

EXTENT = 1.05  # half-extent of the cube that planes and grids cover; the unit-frame mesh fills [-1, 1] of it
TRUNCATION = 0.1  # magnitude up to which signed distances are learned and decoded, in the unit frame
PLANES = 3  # planes of the latent and of what is decoded: xy, yz, zx
SIZES = {"512": 512, "1k": 1024, "2k": 2048, "4k": 4096}
"""The preset sizes by name, in bytes; `scale_sides` is chosen so that each ends at a pyramid scale."""
TAUS = (0.02, 0.01, 0.005)
"""Distances, in units of the longest half-extent, at which precision and recall are taken."""

SAMPLES = 100_000
"""Points on each surface that is measured, unless a caller says otherwise."""

MIN_SIZE = 64
"""Fewest bytes of a file that an encoder may be asked for."""

DEFAULT_SIZE = SIZES["1k"]
"""Bytes of a file where none are asked for."""

DEFAULT_EFFORT = 4
"""Effort of an encoding where none is asked for (by hand, see docs/experiments/README.md)."""

FEWEST_FACES = 4
"""Triangles of the smallest closed mesh."""

MODES = ("auto", "tokens", "mesh")
"""Ways of coding that may be asked for; "auto" is the better of the others by measurement."""

DEFAULT_MODE = "auto"
"""Way of coding where none is asked for."""

DEFAULT_RESOLUTION: int | None = None
"""Cells a side of the decoded grid where none are asked for: None, as many as the surface needs."""

MAX_FACES = 5_000_000
"""Triangles above which a mesh is refused unless more are allowed."""

MAX_BYTES = 512 << 20
"""Bytes above which a mesh file is refused unless more are allowed."""

MAX_DECODED_FACES = 50_000_000
"""The same for a mesh that is measured as a decode: a small file can decode to millions of triangles."""

MAX_DECODED_BYTES = 4 << 30
"""The same in bytes of its file."""


@dataclass(frozen=True)
class ModelConfig:
    """Shape of the Variational Tokenizer. Travels inside the weights file."""

    scale_sides: tuple[int, ...] = (1, 2, 4, 6, 10, 13, 18, 26)
    """Cells per plane side at each scale, coarse to fine; 3 * side² tokens a scale."""
    latent_side: int = 32
    """Cells per plane side of the latent that the scales add up to."""
    latent_channels: int = 8
    """Channels of a latent cell."""
    token_levels: tuple[int, ...] = (4, 4, 4, 4)
    """Levels of each digit of a token (finite scalar quantization); the product is 256, one byte."""
    patch: int = 2
    """Latent cells per transformer token and axis; the transformer has latent_side / patch cells a side."""
    width: int = 192
    """Channels of the transformer."""
    heads: int = 4
    """Attention heads, an even number; width / heads channels each."""
    encoder_blocks: int = 1
    """Transformer blocks over [point groups; latent tokens]."""
    encoder_convs: int = 0
    """Residual convolutions of the encoder over the cells of each plane; 0 for none."""
    decoder_blocks: int = 2
    """Transformer blocks over the triplane tokens."""
    mlp_ratio: int = 3
    """Hidden width of a transformer block's MLP, in units of `width`."""
    point_channels: int = 64
    """Channels of a point's features before they are pooled."""
    point_frequencies: int = 6
    """Octaves of the Fourier features of a coordinate."""
    groups: int = 192
    """Pooled point groups that stand in the encoder's context."""
    plane_side: int = 128
    """Texels per side of the decoded planes."""
    plane_channels: tuple[int, int, int] = (64, 32, 16)
    """Channels of the planes at a quarter, half and the whole of `plane_side`."""
    field_width: int = 128
    """Hidden width of the MLP that turns plane features and a position into a distance."""
    field_frequencies: int = 4
    """Octaves of the Fourier features of a query's position."""
    input_points: int = 4096
    """Surface points that the encoder is given."""

    @property
    def scale_tokens(self) -> tuple[int, ...]:
        """Tokens of each scale."""
        return tuple(PLANES * side * side for side in self.scale_sides)

    @property
    def max_tokens(self) -> int:
        """Tokens of the longest file."""
        return sum(self.scale_tokens)

    def scale_ends(self) -> tuple[int, ...]:
        """Number of tokens up to and with each scale."""
        ends, total = [], 0
        for count in self.scale_tokens:
            total += count
            ends.append(total)
        return tuple(ends)

    def scales_started(self, tokens: int) -> int:
        """Number of scales of which a prefix of `tokens` tokens holds at least one token."""
        ends = zip(self.scale_ends(), self.scale_tokens, strict=True)
        return sum(end - count < tokens for end, count in ends)

    def grows_from(self, smaller: ModelConfig) -> bool:
        """Whether a model of this shape can start from one of another: the same, or with fewer transformer
        blocks, channels of the planes or hidden units of the field."""
        counts = (
            (
                shape.encoder_blocks,
                shape.encoder_convs,
                shape.decoder_blocks,
                shape.field_width,
                *shape.plane_channels,
            )
            for shape in (smaller, self)
        )
        fewer = all(a <= b for a, b in zip(*counts, strict=True))
        alike = dataclasses.replace(
            smaller,
            encoder_blocks=self.encoder_blocks,
            encoder_convs=self.encoder_convs,
            decoder_blocks=self.decoder_blocks,
            plane_channels=self.plane_channels,
            field_width=self.field_width,
        )
        return fewer and alike == self

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelConfig:
        """Back from JSON. Unknown keys are an error: the weights are newer than the program."""
        return cls(**tuples_for_lists(values))


@dataclass(frozen=True)
class PriorConfig:
    """Shape of the next-scale transformer over a model's tokens. Travels in the registry."""

    scales: int = 5
    """Coarsest scales that it predicts; files that it writes end there."""
    width: int = 256
    """Channels of the transformer."""
    heads: int = 4
    """Attention heads; width / heads channels each."""
    blocks: int = 5
    """Transformer blocks."""
    mlp_ratio: int = 3
    """Hidden width of a block's MLP, in units of `width`."""
    dropout: float = 0.0
    """Share of a residual branch that is dropped in training."""
    word_buckets: int = 4096
    """Rows of the table that words and their parts are hashed into."""
    word_channels: int = 96
    """Channels of a row."""
    image_side: int = 64
    """Pixels a side of a picture that stands as a condition; each 16 x 16 of them are a token."""
    image_channels: tuple[int, int, int] = (24, 48, 96)
    """Channels at a half, a quarter and an eighth of the picture's resolution."""

    @property
    def condition_tokens(self) -> int:
        """Number of condition tokens: one for the words, the others for the picture."""
        return 1 + (self.image_side // 16) ** 2

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PriorConfig:
        """Back from JSON; unknown keys raise TypeError."""
        return cls(**tuples_for_lists(values))


def tuples_for_lists(values: dict[str, Any]) -> dict[str, Any]:
    """JSON has lists where fields are tuples."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
