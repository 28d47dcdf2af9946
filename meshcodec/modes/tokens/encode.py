"""A prepared mesh to a file of tokens: rounds of refinement, each judged by the decode.

    prepared mesh ─> quick steps ─> initial tokens ─> [job ─> gradient steps ─> take its result] ... ─> file

`Refinement` is the state of one mesh between rounds. `encode_batch` drives many: the next jobs of all meshes
are refined in one batch, then each mesh takes its result.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from meshcodec.engine import Engine
from meshcodec.format.container import VatFile, version_for
from meshcodec.format.payload import Packing
from meshcodec.modes.budget import check_request
from meshcodec.modes.result import Encoded, Progress
from meshcodec.modes.tokens.fill import (
    TokenBudget,
    nearest_tokens,
    shorter_prefixes,
    shortest_payload,
)
from meshcodec.modes.tokens.judge import Candidate, Judge
from meshcodec.modes.tokens.prepare import PreparedMesh
from meshcodec.modes.tokens.refine import Progress as RoundProgress
from meshcodec.modes.tokens.refine import RefinementJob, RefinementResult, refine_batch
from meshcodec.modes.tokens.settings import RefineSettings, Stop, TokenRequest, TokenSettings
from meshcodec.modes.tokens.targets import draw_queries
from meshcodec.runtime.clock import Clock
from meshcodec.surface.field import Field


class Refinement:
    """The refinement of one mesh: which job is next, and what its result is worth.

    Parameters
    ----------
    engine : with the encoding model
    prepared : the mesh
    budget : the tokens that fit
    request : size, effort and callbacks
    settings : tuned numbers
    judge : measures candidates; made from `settings` by default
    rival : total that another way of coding has reached: without a chance of more, nothing is refined
        further

    Attributes
    ----------
    best : the candidate to be written, so far; its F-scores are empty where nothing is refined
    refined : whether that is of a round, rather than of the quick steps that every effort begins with
    interrupted : whether `TokenRequest.stop` ended the refinement
    """

    def __init__(
        self,
        engine: Engine,
        prepared: PreparedMesh,
        budget: TokenBudget,
        request: TokenRequest,
        settings: TokenSettings,
        judge: Judge | None = None,
        rival: float = 0.0,
    ) -> None:
        self._rival = rival
        self._engine, self._prepared, self._budget = engine, prepared, budget
        self._request, self._settings = request, settings
        self._effort = settings.efforts[request.effort]
        self._clock = Clock(prepared.seconds)
        self._quantizer = engine.encoding.model.quantizer
        self._latents = [part.to(engine.device) for part in prepared.latents]
        with self._clock("code"):
            self._rate = budget.rate_control(engine.device, settings.refine)
            # The quick steps are those of effort 0, which has no byte for an iso offset.
            self._first = budget.without_iso_offset()
            self._first_rate = self._first.rate_control(engine.device, settings.refine, self._rate)
            if self._first_rate is not None:
                self._first_rate.freeze_increase = True
        self._tokens, self._surface = b"", np.empty((0, 3))
        self._count = budget.refined_tokens  # of the tokens that the next round refines
        self.best = Candidate(self._tokens, 0, (), self._surface)
        self.refined = self.interrupted = False
        self._number = -1  # of the next round, of which the first is 0; before it come the quick steps
        self._missed_check = False  # the last result had the higher sum, but failed the Pareto check
        self._judge = judge or Judge(engine, prepared, settings.judge)
        self._rng = np.random.default_rng([prepared.seed, 1])

    def next_job(self) -> RefinementJob | None:
        """The quick steps, then the next round of refinement; None where there is none."""
        if self._number < 0:
            return self._quick_job()
        if self._is_done():
            return None
        number, steps = self._number, self._effort.all_rounds[self._number]
        if self._rate is not None:
            # At first more tokens than fit, to see how many do; then these, at the bits there are.
            self._rate.freeze_increase = self._is_warm_up()
        rounds = self._effort.schedule(number)
        with self._clock("targets"):
            pool = draw_queries(self._prepared, self._surface, self._effort.pool_size(steps), self._rng)
        refine = self._settings.refine
        return RefinementJob(
            self._latents,
            pool,
            self._count,
            shorter_prefixes(self._budget.size, self._engine.encoding.config),
            steps,
            self._prepared.seed + number,
            self._rate,
            refine.first_rate if self._is_warm_up() else refine.later_rate,
            refine.truncation,
            progress=_shifted(
                self._request.progress, sum(rounds[:number]), sum(rounds), self.best.fscores[0]
            ),
        )

    def _quick_job(self) -> RefinementJob:
        """The steps before anything is measured."""
        refine = self._settings.refine
        with self._clock("targets"):
            pool = draw_queries(self._prepared, self._surface, refine.quick_queries, self._rng)
        return RefinementJob(
            self._latents,
            pool,
            self._first.refined_tokens,
            shorter_prefixes=[],
            steps=refine.quick_steps,
            seed=self._prepared.seed,
            rate=self._first_rate,
            learning_rate=refine.quick_rate,
            truncation=refine.quick_truncation,
            softness=refine.quick_softness,
        )

    def take(self, result: RefinementResult) -> None:
        """Judge the result of the job given last, and keep it if it is better."""
        self._latents[: len(result.latents)] = result.latents
        self._clock.add("refine", result.seconds)
        self.interrupted = self._request.stop is not None and self._request.stop()
        if self._number < 0:
            self._begin()
        else:
            self._judge_round()
        self._number += 1

    def _begin(self) -> None:
        """The tokens of the quick steps are the first candidate: nothing that is kept is worse."""
        with self._clock("code"):
            self._tokens = self._first.initial_tokens(self._quantizer, self._latents, self._first_rate)
        self.best = Candidate(self._tokens, 0, (), self._surface)
        if self._effort.rounds:
            with self._clock("measure"):
                self.best = self._judge.measure(self._judge.field(self._tokens), self._tokens, 0)
        self._surface = self.best.surface

    def _judge_round(self) -> None:
        warm_up = self._is_warm_up()
        with self._clock("measure"):
            tokens = nearest_tokens(self._quantizer, self._latents)[: self._count]
            self._tokens = self._budget.longest_prefix(tokens)
            if len(self._tokens) == len(tokens):
                self._count = self._budget.more_tokens(tokens)
            elif self._number + 1 >= self._settings.warm_ups:
                self._count = len(self._tokens)
            decode = self._judge.cached_field(self._tokens)
            new = self._judge.measure(decode, self._tokens, self.best.iso_offset)
            self._surface = new.surface
            if warm_up:
                better = new if self._judge.improves(new, self.best) else None
            else:
                better = self._improvement(decode, new)
            if better is not None:
                self.best, self.refined = better, True

    def _improvement(self, decode: Field, new: Candidate) -> Candidate | None:
        """A candidate at its best iso offset, if it is better than the best so far."""
        # The iso offset comes after the steps, but must have been looked for once.
        if not self.refined or not self._judge.is_clearly_lower(new, self.best):
            new = self._judge.tuned(decode, new)
        higher = new.quality > self.best.quality
        better = self._judge.improvement(decode, new, self.best)
        # Better than the encoder's in the sum, but for one F-score: more steps may lift that, too.
        self._missed_check = higher and better is None and not self.refined
        return better

    def encoded(self) -> Encoded:
        """The file of the best candidate."""
        transform, networks = self._prepared.transform, self._engine.encoding
        with self._clock("code"):
            payload, packing = shortest_payload(self.best.tokens, self._budget.entropy_model)
            count = len(self.best.tokens)
            file = VatFile(
                payload=payload,
                model_id=networks.entry.model_id,
                count=count,
                packing=packing,
                center=transform.center,
                half_extents=transform.half_extents,
                iso_offset=self.best.iso_offset,
                mirrored=transform.mirrored,
                version=self._budget.version,
            )
            if file.tokens(self._budget.entropy_model) != self.best.tokens:
                raise AssertionError("the coded tokens do not decode to themselves")
        return Encoded(
            file.to_bytes(),
            count,
            packing,
            networks.config.scales_started(count),
            self._request.effort,
            self.refined,
            self.interrupted,
            self._clock.seconds,
        )

    def _is_done(self) -> bool:
        """Whether no round follows: none is left, the scores are high enough, or the user has stopped it."""
        if self.interrupted or self._number >= len(self._effort.all_rounds):
            return True
        if self.refined and min(self.best.fscores) >= self._settings.saturation:
            return True
        if self._rival and self._number and self._is_beaten():
            return True
        extended = self._number - len(self._effort.rounds)
        if extended < 0 or (self._missed_check and extended == 0):
            return False
        only_sheets = self._prepared.classes.only_sheets
        enough = self._settings.early_stop.fscore(self._budget.size, only_sheets, self._number)
        return self.best.fscores[0] >= enough

    def _is_beaten(self) -> bool:
        """Whether no more rounds would reach the rival."""
        with self._clock("measure"):
            total = self._judge.total(self.best)
        return self._settings.early_stop.is_beaten(total, self._rival, self._number)

    def _is_warm_up(self) -> bool:
        """Whether it is not known yet how many tokens fit."""
        return self._number < self._settings.warm_ups


def encode_batch(
    engine: Engine,
    meshes: Sequence[PreparedMesh],
    request: TokenRequest,
    settings: TokenSettings | None = None,
    rivals: Sequence[float] | None = None,
) -> list[Encoded]:
    """Encode prepared meshes, of which each round of refinement is one batch.

    `rivals` are the totals, see `meshcodec.modes.result.ModeScores`, that another way of coding has reached
    with each mesh, 0 where there is none. Where tokens have no chance of more the best so far are taken.

    Where a GPU's memory is too small for all of them, halves are done one after the other; where it is too
    small for one, the CPU goes on.

    Raises
    ------
    UsageError
        Size, effort or packing out of range.
    """
    settings = settings or TokenSettings()
    check_request(request.size, request.effort, len(settings.efforts), request.packing)
    networks = engine.encoding
    entropy_model = networks.entropy_model if Packing.parse(request.packing) == Packing.CODED else None
    iso_offset = request.effort > 0

    def budget_of(mesh: PreparedMesh) -> TokenBudget:
        version = version_for(networks.entry.model_id, mesh.transform.center, mesh.transform.half_extents)
        return TokenBudget(request.size, iso_offset, networks.config, entropy_model, settings.budget, version)

    rivals = rivals or [0.0] * len(meshes)

    def work() -> list[Encoded]:
        refinements = [
            Refinement(engine, mesh, budget_of(mesh), request, settings, rival=rival)
            for mesh, rival in zip(meshes, rivals, strict=True)
        ]
        run_rounds(engine, refinements, request.stop, settings.refine)
        return [refinement.encoded() for refinement in refinements]

    if engine.device.type == "cpu" or len(meshes) < 2:
        return engine.or_on_cpu(work)
    try:
        return work()
    except torch.OutOfMemoryError:
        middle = len(meshes) // 2
    # Not in the handler: while it runs, the traceback holds on to what could not be completed.
    return [
        encoded
        for half in (slice(middle), slice(middle, None))
        for encoded in encode_batch(engine, meshes[half], request, settings, rivals[half])
    ]


def run_rounds(
    engine: Engine, refinements: Sequence[Refinement], stop: Stop | None, settings: RefineSettings
) -> None:
    """Refine until no mesh has another round: the next jobs of all in one batch, then each takes its
    result."""
    running = [(refinement, refinement.next_job()) for refinement in refinements]
    while jobs := [(refinement, job) for refinement, job in running if job is not None]:
        results = refine_batch(engine.encoding.model, [job for _, job in jobs], settings, stop)
        for (refinement, _), result in zip(jobs, results, strict=True):
            refinement.take(result)
        running = [(refinement, refinement.next_job()) for refinement, _ in jobs]


def _shifted(progress: Progress | None, done: int, total: int, fscore: float) -> RoundProgress | None:
    """The progress of a round as that of all rounds."""
    if progress is None:
        return None
    return lambda step, steps, loss: progress(done + step, total, loss, fscore)
