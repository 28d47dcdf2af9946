"""Training the decoder on what refinement will give it.

When a mesh is encoded at an effort above 0, its digits are stepped through the decoder until they fit. A
decoder that only ever sees what the encoder gives learns to hedge where the encoder is vague. So a batch
stays for some visits: at the first it goes through the encoder; at the later ones its digits are free
variables, as in an auto-decoder (Park et al. 2019, DeepSDF), stepped by Adam together with the decoder's
weights. Later visits are also cheaper, since they leave the encoder out.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import torch
from torch import Tensor

from meshcodec.train.batches import Batch


@dataclass(eq=False)
class ReplayEntry:
    """A batch that stays.

    Attributes
    ----------
    batch : its meshes
    digits : of each scale, (B, 3, n, n, D), unbounded, with gradients
    optimizer : of the digits
    visits : how often it has been trained on
    """

    batch: Batch
    digits: list[Tensor]
    optimizer: torch.optim.Adam
    visits: int


class ReplayBuffer:
    """The batches that stay, and who is next.

    Parameters
    ----------
    visits : times that a batch is trained on, the first through the encoder included
    room : batches that stay at the same time
    rate : Adam's learning rate for the digits
    seed : of the order; processes with the same seed go on in step
    decay : share of the rate that is left at the last visit, along a cosine
    fresh : share of the steps, while there is no room, that take a new batch all the same, for one visit
    """

    def __init__(
        self, visits: int, room: int, rate: float, seed: int, decay: float = 1.0, fresh: float = 0.0
    ) -> None:
        self._visits, self._room, self._rate, self._decay = visits, room, rate, decay
        self._fresh = fresh
        self._random = random.Random(seed)
        self._guests: list[ReplayEntry] = []

    def next(self) -> ReplayEntry | None:
        """One of those that stay, or None when it is a new batch's turn."""
        if len(self._guests) < self._room or (self._fresh and self._random.random() < self._fresh):
            return None
        return self._random.choice(self._guests)

    def admit(self, batch: Batch, digits: list[Tensor]) -> None:
        """Keep a batch that has just had its first visit, with the encoder's digits, if there is room."""
        if self._visits < 2 or len(self._guests) >= self._room:
            return
        free = [d.detach().clone().requires_grad_() for d in digits]
        optimizer = torch.optim.Adam(free, lr=self._rate, betas=(0.9, 0.95))
        self._guests.append(ReplayEntry(batch, free, optimizer, visits=1))

    def visited(self, guest: ReplayEntry) -> None:
        """Step the digits by the gradients of a visit, and say goodbye after the last."""
        fall = 0.5 * (1 + math.cos(math.pi * guest.visits / self._visits))
        guest.optimizer.param_groups[0]["lr"] = self._rate * (self._decay + (1 - self._decay) * fall)
        guest.optimizer.step()
        guest.optimizer.zero_grad(set_to_none=True)
        guest.visits += 1
        if guest.visits >= self._visits:
            self._guests.remove(guest)
