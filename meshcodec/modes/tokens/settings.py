"""What is asked of an encoding by tokens, and every tuned number of it. No torch: the default mode, which
mostly ends without tokens, is set up with these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from meshcodec.config import DEFAULT_RESOLUTION, SAMPLES, TAUS
from meshcodec.modes.result import Progress
from meshcodec.modes.tokens.efforts import EFFORTS, EarlyStop, Effort

Stop = Callable[[], bool]
"""Asked before each step; True ends the refinement with what it has found so far."""


@dataclass(frozen=True)
class RefineSettings:
    """Numbers of the gradient steps; sections are those of docs/experiments/refinement.md.

    Attributes
    ----------
    step_queries : query points of a step ("Codes stepped in quantization levels")
    truncation : distance, in half-extents of the mesh, beyond which the surface is not concerned and no bits
        are spent, in rounds ("A nearer truncation")
    far_share : weight of the untruncated error, which keeps gradients alive where both distances are
        truncated (the same section)
    quick_steps : steps that every effort begins with, before anything is measured ("Two steps for everyone")
    quick_queries : query points in their pool (the same section)
    quick_rate : their learning rate at the first of them, in levels (the same section)
    quick_truncation : truncation of their errors ("A nearer truncation")
    quick_softness : see `meshcodec.modes.tokens.descent.SoftDescent` (the same section)
    first_rate : learning rate at the first step of a warm-up round, in levels; a cosine takes it to zero
        ("Short momenta")
    later_rate : the same of later rounds (the same section)
    momenta : Adam's (the same section)
    overshoot : levels that a squashed latent may go beyond its last one: a short way back when its gradient
        turns (the same section)
    shorter_share : share of the steps that shorter prefixes get, all of them together (the same section)
    first_lambda : weight of the bits in the loss at first, as a share of those that a file has room for
        ("Learning rate of later rounds and first lambda")
    least_lambda, largest_lambda : bounds of that weight (by hand)
    lambda_rate : how fast it moves (entropy-coding.md, "Lambda that moves twice as fast")
    table_steps : steps for which a table of bits serves: bits of neighbours change little from step to step,
        and the tables take a tenth of a step's time (by hand)
    """

    step_queries: int = 6000
    truncation: float = 0.02
    far_share: float = 0.2
    quick_steps: int = 2
    quick_queries: int = 4000
    quick_rate: float = 0.6
    quick_truncation: float = 0.05
    quick_softness: float = 1.0
    first_rate: float = 0.4
    later_rate: float = 0.25
    momenta: tuple[float, float] = (0.4, 0.8)
    overshoot: float = 0.1
    shorter_share: float = 0.1
    first_lambda: float = 0.07
    least_lambda: float = 0.001
    largest_lambda: float = 10.0
    lambda_rate: float = 0.2
    table_steps: int = 2


@dataclass(frozen=True)
class JudgeSettings:
    """Numbers of the evaluation; sections are those of docs/experiments/evaluation.md.

    Attributes
    ----------
    taus : distances of the F-scores that rank candidates (by hand)
    resolution : cells a side of the grid of all decodes, None as in a default one: what a user gets
        ("The proxy decodes as a user does")
    proxy_samples : points on each surface in the proxy evaluation (by hand)
    full_samples : the same in the full evaluation: those of a user who measures
    margin : F-scores that differ by this much by proxy differ in full too (the same section)
    offset_steps : steps in which the iso offset is searched, coarse to fine (the same section)
    offset_cells : cells a side of the grid of that search, at most those of all others ("Iso offsets on a
        coarse grid")
    nearby_offsets : iso offsets tried where one F-score falls although the sum rises (the same section)
    largest_offset : iso offset that no search passes, in `ISO_OFFSET_UNIT`s (by hand)
    """

    taus: tuple[float, ...] = TAUS[:2]
    resolution: int | None = DEFAULT_RESOLUTION
    proxy_samples: int = 30_000
    full_samples: int = SAMPLES
    margin: float = 0.01
    offset_steps: tuple[int, ...] = (2, 1)
    offset_cells: int = 96
    nearby_offsets: tuple[int, ...] = (1, -1, 2, -2)
    largest_offset: int = 20


@dataclass(frozen=True)
class BudgetSettings:
    """Numbers of the token budget; sections are those of docs/experiments/entropy-coding.md.

    Attributes
    ----------
    tokens_per_byte : tokens refined at first for each byte of payload where they are entropy-coded; more fit
        only at a rate that the coarser ones pay for ("How many tokens to refine")
    initial_gain : tokens of the encoder that are tried, as a multiple of those that fit by themselves
        ("Rounding so that tokens fit")
    coder_bytes : bytes that a range coder takes beyond the bits of its symbols, and that rounding its
    networks costs, at most (a bound, not tuned)
    """

    tokens_per_byte: float = 1.7
    initial_gain: float = 1.15
    coder_bytes: int = 4


@dataclass(frozen=True)
class TokenSettings:
    """Every tuned number of encoding by tokens; the defaults are what ships.

    Attributes
    ----------
    efforts : what each effort spends, from 0 up
    warm_ups : rounds, the first ones, that refine more tokens than fit, to see how many do; the iso offset is
        not looked for after them (docs/experiments/refinement.md, "Nested efforts")
    early_stop : when a mesh gets no extended round
    saturation : F-score from which on no better tokens are looked for (by hand)
    budget, judge, refine : numbers of the token budget, the evaluation and the gradient steps
    """

    efforts: tuple[Effort, ...] = EFFORTS
    warm_ups: int = 2
    early_stop: EarlyStop = field(default_factory=EarlyStop)
    saturation: float = 0.9995
    budget: BudgetSettings = field(default_factory=BudgetSettings)
    judge: JudgeSettings = field(default_factory=JudgeSettings)
    refine: RefineSettings = field(default_factory=RefineSettings)


@dataclass(frozen=True)
class TokenRequest:
    """What is asked of an encoding.

    Attributes
    ----------
    size : bytes of the file, at most; from 64 up
    effort : 0 to 9
    packing : "coded" or "bytes"
    progress : told about the steps of the refinement
    stop : when it says True, the best tokens found so far are taken
    measure : whether a mesh is measured where nothing is compared with it, too
    """

    size: int
    effort: int
    packing: str
    progress: Progress | None = None
    stop: Stop | None = None
    measure: bool = True
