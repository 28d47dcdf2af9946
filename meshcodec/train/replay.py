"""Training the decoder on what refinement will give it.

When a mesh is encoded at an effort above 0, its latents are stepped through the decoder until they fit. A
decoder that only ever sees what the encoder gives learns to hedge where the encoder is vague. So a batch
is trained on several times (a recipe's ``visits``): first through the encoder; later its latents are free
variables, as in an auto-decoder (Park et al. 2019, DeepSDF), stepped by Adam together with the decoder's
weights. Later steps are also cheaper, since they leave the encoder out.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import torch
from torch import Tensor

from meshcodec.train.batches import AutoencoderBatch


@dataclass(eq=False)
class ReplayEntry:
    """A batch in the replay buffer.

    Attributes
    ----------
    batch : its meshes
    latents : (B, 3, n, n, D) for each scale, unbounded, with gradients
    optimizer : Adam, which steps the latents
    visits : how often the batch has been trained on
    """

    batch: AutoencoderBatch
    latents: list[Tensor]
    optimizer: torch.optim.Adam
    visits: int


class ReplayBuffer:
    """Batches that are trained on again, and which of them is next.

    Parameters
    ----------
    visits : times that a batch is trained on, the first through the encoder included
    capacity : batches that are kept at the same time
    rate : Adam's learning rate for the latents
    seed : start of the order; processes with the same seed go on in step
    decay : share of the rate that is left at the last visit, along a cosine
    fresh : share of the steps, while the buffer is full, that take a new batch all the same, for one visit
    """

    def __init__(
        self, visits: int, capacity: int, rate: float, seed: int, decay: float = 1.0, fresh: float = 0.0
    ) -> None:
        self._visits, self._capacity, self._rate, self._decay = visits, capacity, rate, decay
        self._fresh = fresh
        self._random = random.Random(seed)
        self._entries: list[ReplayEntry] = []

    @property
    def entries(self) -> tuple[ReplayEntry, ...]:
        """The batches that are kept, the oldest first."""
        return tuple(self._entries)

    def next(self) -> ReplayEntry | None:
        """One of the batches that are kept, or None when it is a new batch's turn."""
        full = len(self._entries) >= self._capacity
        if not full or (self._fresh and self._random.random() < self._fresh):
            return None
        return self._random.choice(self._entries)

    def insert(self, batch: AutoencoderBatch, latents: list[Tensor]) -> None:
        """Keep a batch after its first visit, with the encoder's latents, unless the buffer is full."""
        if self._visits < 2 or len(self._entries) >= self._capacity:
            return
        free = [latent.detach().clone().requires_grad_() for latent in latents]
        optimizer = torch.optim.Adam(free, lr=self._rate, betas=(0.9, 0.95))
        self._entries.append(ReplayEntry(batch, free, optimizer, visits=1))

    def step(self, entry: ReplayEntry) -> None:
        """Step the latents by the gradients of a visit, and drop the batch after its last."""
        fall = 0.5 * (1 + math.cos(math.pi * entry.visits / self._visits))
        entry.optimizer.param_groups[0]["lr"] = self._rate * (self._decay + (1 - self._decay) * fall)
        entry.optimizer.step()
        entry.optimizer.zero_grad(set_to_none=True)
        entry.visits += 1
        if entry.visits >= self._visits:
            self._entries.remove(entry)
