"""What a codec computes with: device, kernel, registry, and the networks that are loaded.

`Engine.open` is the one place where a file's model is looked up and the file is held against its limits.
Networks are loaded when they are first asked for, and stay. So is torch, which takes a second: a mesh that is
coded as a mesh does without it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from meshcodec.config import ModelConfig
from meshcodec.errors import CorruptFileError
from meshcodec.format.container import VatFile
from meshcodec.format.mesh_coder import MeshCoder
from meshcodec.format.payload import Packing
from meshcodec.format.token_coder import TokenModel
from meshcodec.registry import Registry, WeightsEntry
from meshcodec.runtime.device import check_device, choose_device, choose_kernel, wanted_kernel
from meshcodec.runtime.threads import one_thread_after_forks
from meshcodec.weights import load_coder, load_mesh_coder, load_model

if TYPE_CHECKING:
    import torch

    from meshcodec.model import VariationalTokenizer

T = TypeVar("T")


class Networks:
    """The networks of one model, each loaded when it is first asked for.

    Parameters
    ----------
    entry : what the registry says of the model
    engine : whose device the model is moved to

    Attributes
    ----------
    entry : as given
    """

    def __init__(self, entry: WeightsEntry, engine: Engine) -> None:
        self.entry = entry
        self._engine = engine
        self._model: VariationalTokenizer | None = None

    @property
    def config(self) -> ModelConfig:
        """Shape of the model."""
        return self.entry.config

    @property
    def model(self) -> VariationalTokenizer:
        """The tokenizer, frozen, on the engine's device. Raises WeightsError: no whole file of weights."""
        if self._model is None:
            self._model = load_model(self.entry).to(self._engine.device)
        return self._model

    @cached_property
    def entropy_model(self) -> TokenModel | None:
        """Integer networks that entropy-code the tokens; None where the model has none. Raises
        WeightsError."""
        return load_coder(self.entry)

    def unload_model(self) -> None:
        """Forget the tokenizer: the next use loads it again, to the device of then."""
        self._model = None


@dataclass(frozen=True)
class Place:
    """Where tensors are computed, by what the field is evaluated, and why: see `meshcodec.runtime.device`."""

    device: torch.device
    device_reason: str
    kernel: str
    kernel_reason: str


class Engine:
    """Device, kernel, registry and loaded networks of a codec.

    Parameters
    ----------
    device : "auto", "cpu" or "cuda"
    weights : folder with a ``registry.json``; the shipped one by default

    Attributes
    ----------
    registry : the models of the weights folder

    Raises
    ------
    WeightsError
        No weights, or no default model among them.
    UsageError
        A device that does not work here, or such a kernel in MESHCODEC_KERNEL.
    """

    def __init__(self, device: str = "auto", weights: Path | None = None) -> None:
        one_thread_after_forks()
        check_device(device)
        self._wanted = device
        if device == "cuda" or wanted_kernel() != "auto":  # what may be refused
            self.place  # noqa: B018 - looks for it
        self.registry = Registry(weights)
        self._networks: dict[bytes, Networks] = {}
        self._mesh_coders: dict[bytes, MeshCoder] = {}
        self.encoding = self.networks(self.registry.default())
        """Networks of the model that encodes."""

    @cached_property
    def place(self) -> Place:
        """Where tensors are computed; looked for when it is first asked for."""
        device, reason = choose_device(self._wanted)
        return Place(device, reason, *choose_kernel(device))

    @property
    def device(self) -> torch.device:
        """Where tensors are computed."""
        return self.place.device

    @property
    def kernel(self) -> str:
        """By what the field is evaluated."""
        return self.place.kernel

    @property
    def device_used(self) -> str:
        """Kind of the device that has worked so far: without tensors the CPU."""
        return self.device.type if "place" in vars(self) else "cpu"

    def networks(self, entry: WeightsEntry) -> Networks:
        """The networks of a model of the registry."""
        if entry.model_id not in self._networks:
            self._networks[entry.model_id] = Networks(entry, self)
        return self._networks[entry.model_id]

    def open(self, file: VatFile) -> Networks:
        """The networks that a file names, which can decode it as far as its header tells.

        Raises
        ------
        WeightsError
            The model is not here.
        CorruptFileError
            More tokens than the model has, or none; or entropy-coded tokens of a model without entropy model.
        """
        networks = self.networks(self.registry.find(file.model_id))
        most = networks.config.max_tokens
        if not 1 <= file.count <= most:
            raise CorruptFileError(f"{file.count} tokens, the model has 1 to {most}", "get the file again")
        if file.packing == Packing.CODED and networks.entry.coder_path is None:
            fault = f"its tokens are coded, and model {file.model_id.hex()} has no coder here"
            raise CorruptFileError(fault, "install the meshcodec version that wrote it")
        return networks

    @property
    def codes_meshes(self) -> bool:
        """Whether the weights folder has a coder of meshes."""
        return self.registry.default_mesh_coder_id is not None

    def mesh_coder(self, model_id: bytes | None = None) -> tuple[MeshCoder, bytes]:
        """A coder of meshes, by default the one that encodes, and its model id. Raises WeightsError."""
        registry = self.registry
        entry = registry.find_mesh_coder(model_id) if model_id else registry.default_mesh_coder()
        if entry.coder_id not in self._mesh_coders:
            self._mesh_coders[entry.coder_id] = load_mesh_coder(entry)
        return self._mesh_coders[entry.coder_id], entry.coder_id

    def or_on_cpu(self, work: Callable[[], T]) -> T:
        """The result of `work`, done again on the CPU, from then on, where the GPU's memory is too small."""
        import torch

        try:
            return work()
        except torch.OutOfMemoryError:
            if self.device.type == "cpu":
                raise
        # Not in the handler: while it runs, the traceback holds on to what could not be completed.
        for networks in self._networks.values():
            networks.unload_model()
        torch.cuda.empty_cache()
        reason = "the GPU ran out of memory"
        self.place = Place(torch.device("cpu"), reason, "tables", reason)
        warnings.warn("the GPU ran out of memory: going on with the CPU", RuntimeWarning, stacklevel=2)
        return work()
