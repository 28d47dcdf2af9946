"""Losses of the autoencoder, and its validation."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from meshcodec.config import SIZES, TRUNCATION
from meshcodec.model.decoder import to_distance
from meshcodec.model.quantizer import resize, round_to_level, squash, token_masks
from meshcodec.model.vat import VariationalTokenizer
from meshcodec.modes.budget import payload_bytes
from meshcodec.modes.tokens.rates import TokenRates, bits_at
from meshcodec.modes.tokens.refine import surface_error
from meshcodec.train.batches import AutoencoderBatch
from meshcodec.train.recipe import TrainConfig
from meshcodec.train.replay import ReplayEntry
from meshcodec.weights import encodes

NEAR_TRUNCATION = 0.05
"""Truncation of distances near the surface, in the unit frame, see `surface_error` (by hand)."""
NEAR_FAR_SHARE = 0.2
"""Weight of the untruncated error beside it (by hand)."""
SIGN_SHARPNESS = 0.01
"""Distance at which inside/outside counts as nearly sure in the sign loss, in the unit frame."""


def preset_scales(config: TrainConfig) -> list[int]:
    """Number of whole scales in a file of each preset size that the model's schedule reaches."""
    ends = config.model.scale_ends()
    counts = (sum(end <= payload_bytes(size) for end in ends) for size in SIZES.values())
    return sorted({count for count in counts if count})


def field_loss(
    logits: Tensor, distances: Tensor, sign_weight: float, near_surface: bool = False
) -> tuple[Tensor, Tensor]:
    """Training loss and its distance part.

    Parameters
    ----------
    logits : (B, Q), what the field head gives
    distances : (B, Q) signed distances, not truncated
    sign_weight : factor of the cross-entropy on inside and outside
    near_surface : take `surface_error` as the distance part of the loss

    Returns
    -------
    loss, distance_loss : scalars; the second is mean |error| of truncated distances, in truncations
    """
    target = distances.clamp(-TRUNCATION, TRUNCATION)
    found = to_distance(logits)
    distance_loss = (found - target).abs().mean() / TRUNCATION
    # Near the surface the slope of the logit is 1 / TRUNCATION, so this is distance / SIGN_SHARPNESS.
    sign_loss = F.binary_cross_entropy_with_logits(
        -logits * (TRUNCATION / SIGN_SHARPNESS), torch.sigmoid(-distances / (0.5 * SIGN_SHARPNESS))
    )
    near = surface_error(found, target, NEAR_TRUNCATION, NEAR_FAR_SHARE)
    fit = near if near_surface else distance_loss
    return fit + sign_weight * sign_loss, distance_loss


class Objective(nn.Module):
    """The model with its training loss.

    Parameters
    ----------
    config : recipe
    rates : bits of the tokens, for a recipe that weighs them
    """

    def __init__(self, config: TrainConfig, rates: TokenRates | None = None) -> None:
        super().__init__()
        self._rates = rates
        self.config = config
        self.model = VariationalTokenizer(config.model)
        self.presets = preset_scales(config)
        if config.freeze_tokens:
            self.model.encoder.requires_grad_(False)
            self.model.quantizer.requires_grad_(False)
        if config.freeze_decoder:
            for name, parameter in self.model.named_parameters():
                parameter.requires_grad_(encodes(name))

    def forward(
        self, batch: AutoencoderBatch, quantized: bool
    ) -> tuple[Tensor, list[Tensor], dict[str, Tensor]]:
        """Loss of a batch, its latents, and parts of the loss. Draws from torch's random stream.

        Parameters
        ----------
        quantized : whether the recipe is in its second phase

        Returns
        -------
        loss : scalar
        latents : (B, 3, n, n, D) of each scale, unbounded; none where it is not quantized
        parts : scalars without gradients, for the log
        """
        with torch.autocast(batch.points.device.type, torch.bfloat16):
            mu, log_variance = self.model.encoder(batch.points, batch.normals)
        if self.config.freeze_decoder:
            return self._of_encoder(mu, batch)
        z = mu + torch.randn_like(mu) * (0.5 * log_variance).exp()
        kl = 0.5 * (mu.square() + log_variance.exp() - log_variance - 1).mean()
        latents = self.model.quantizer.project(mu) if quantized else []
        if not quantized:
            latent = self._low_pass(z)
        elif self.config.freeze_tokens:
            latent = self.model.quantizer.compose(latents, self.draw_tokens(len(z)))
        else:
            latent = self.model.quantizer(z, self.draw_scales(len(z)).to(z.device))
        loss, parts = self._decoded(latent, batch)
        return loss + self.config.kl_weight * kl, latents, {**parts, "kl": kl.detach()}

    def _of_encoder(
        self, mu: Tensor, batch: AutoencoderBatch
    ) -> tuple[Tensor, list[Tensor], dict[str, Tensor]]:
        """Loss where the encoder alone is trained: of the posterior's mean, which is what is encoded."""
        quantizer = self.model.quantizer
        tokens = self.draw_tokens(len(mu))
        masks = token_masks(tokens, self.config.model, mu.device)
        total, squashed, codes = torch.zeros_like(mu), [], []
        for codec, mask in zip(quantizer.codecs(), masks, strict=False):
            squashed.append(squash(codec.project(mu - total), quantizer.levels))
            codes.append(round_to_level(squashed[-1], quantizer.levels))
            # As when a mesh is encoded, a finer scale mends what all cells of the coarser ones left; of the
            # last scale, what is not in the file leaves nothing in the planes.
            kept = mask.flatten(1).any(1).view(-1, 1, 1, 1, 1)
            total = total + torch.where(kept, codec.expand(codes[-1] * mask), 0.0)
        loss, parts = self._decoded(total, batch)
        if self._rates is not None:
            tables = self._rates.tables(codes, masks)
            bits = torch.stack(
                [bits_at(t, s).flatten(1).sum(1) for t, s in zip(tables, squashed, strict=True)]
            )
            share = (bits.sum(0) / (8 * tokens.to(bits.device))).mean()
            loss = loss + self.config.rate_weight * share
            parts = {**parts, "bits": 8 * share.detach()}
        return loss, [], parts

    def replay(self, entry: ReplayEntry) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of a batch of the replay buffer, decoded from its own latents, and parts of the loss."""
        tokens = self.draw_tokens(len(entry.batch.points))
        loss, parts = self._decoded(self.model.quantizer.compose(entry.latents, tokens), entry.batch)
        return loss, {f"revisited {name}": value for name, value in parts.items()}

    def decoding_parameters(self) -> list[nn.Parameter]:
        """Parameters that `replay` uses: all but the encoder's and those of the way into the quantizer."""
        named = self.model.named_parameters()
        return [p for name, p in named if p.requires_grad and not encodes(name)]

    def large_matrices(self) -> list[Tensor]:
        """Matrices from at least 64 channels to at least 64 channels."""
        linear = [m.weight for m in self.model.modules() if isinstance(m, nn.Linear)]
        return [weight for weight in linear if weight.requires_grad and min(weight.shape) >= 64]

    def trained(self) -> list[nn.Parameter]:
        """All parameters but those that the recipe freezes."""
        return [p for p in self.parameters() if p.requires_grad]

    def _decoded(self, latent: Tensor, batch: AutoencoderBatch) -> tuple[Tensor, dict[str, Tensor]]:
        queries, distances = batch.queries, batch.distances
        if queries.shape[1] > self.config.step_queries:
            chosen = torch.randint(queries.shape[1], (self.config.step_queries,), device=queries.device)
            queries, distances = queries[:, chosen], distances[:, chosen]
        with torch.autocast(latent.device.type, torch.bfloat16):
            logits = self.model.field(self.model.decode_latent(latent), queries)
        loss, distance_loss = field_loss(logits, distances, self.config.sign_weight, self.config.near_surface)
        # Tensors, because turning them into numbers would make every step wait for the device.
        return loss, {"loss": loss.detach(), "distance": distance_loss.detach()}

    def draw_scales(self, count: int) -> Tensor:
        """(count,) scales kept of each mesh: nine in ten times those of a preset size, else any number.

        The nested dropout of Rippel et al. (2014): what a scale holds must not hang on the finer ones.
        """
        presets = torch.tensor(self.presets)
        # The smallest files are the hardest and the ones that matter most.
        weights = torch.linspace(1.5, 1.0, len(presets))
        preset = presets[torch.multinomial(weights, count, replacement=True)]
        any_number = torch.randint(1, len(self.config.model.scale_sides) + 1, (count,))
        return torch.where(torch.rand(count) < 0.9, preset, any_number)

    def draw_tokens(self, count: int) -> Tensor:
        """(count,) tokens kept of each mesh: half of the time whole scales, else between two presets.

        Files of entropy-coded tokens hold such numbers: from what the raw tokens of a preset size are to what
        those of the next one are.
        """
        ends = torch.tensor(self.config.model.scale_ends())
        presets = ends[torch.tensor(self.presets) - 1]
        number = torch.randint(len(presets), (count,))
        lower, upper = presets[number], torch.cat([presets[1:], ends[-1:]])[number]
        between = lower + ((upper - lower) * torch.rand(count)).long()
        whole = ends[self.draw_scales(count) - 1]
        return torch.where(torch.rand(count) < 0.5, whole, between)

    def _low_pass(self, z: Tensor) -> Tensor:
        """First phase: half of the time what a prefix of the scales could hold at best."""
        if torch.rand(()) < 0.5:
            return z
        sides = [self.config.model.scale_sides[count - 1] for count in self.presets]
        side = sides[int(torch.randint(len(sides), ()))]
        return resize(resize(z, side), z.shape[2])


@torch.no_grad()
def validate(
    model: VariationalTokenizer, batches: list[AutoencoderBatch], presets: list[int], quantized: bool
) -> dict[str, float]:
    """Distance loss on the validation set, by what is kept of the latents.

    Parameters
    ----------
    presets : numbers of scales, see `preset_scales`
    quantized : whether the recipe is in its second phase

    Returns
    -------
    Mean loss, in truncations, by the number of tokens; under ``free`` without quantization
    """
    device = next(model.parameters()).device
    totals: dict[str, float] = {}
    for batch in (b.to(device) for b in batches):
        with torch.autocast(device.type, torch.bfloat16):
            mu, _ = model.encoder(batch.points, batch.normals)
        latents = {"free": mu}
        if quantized:
            for count in presets:
                keep = torch.full((len(mu),), count, device=device)
                latents[f"{model.config.scale_ends()[count - 1]}"] = model.quantizer(mu, keep)
        for name, latent in latents.items():
            with torch.autocast(device.type, torch.bfloat16):
                logits = model.field(model.decode_latent(latent), batch.queries)
            loss = field_loss(logits, batch.distances, 0.0)[1]
            totals[name] = totals.get(name, 0.0) + float(loss) / len(batches)
    return totals
