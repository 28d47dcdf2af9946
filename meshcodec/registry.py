from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from meshcodec.config import ModelConfig, PriorConfig
from meshcodec.errors import UnknownModelError, WeightsError

REMEDY = "reinstall meshcodec, or pass the folder that holds these weights with --weights"


class PriorEntry(NamedTuple):
    """The prior of a model: file, hash in hex, shape."""

    path: Path
    sha256: str
    config: PriorConfig


class EncoderEntry(NamedTuple):
    """An encoder that has taken the place of the one in a model's own file: file, hash in hex."""

    path: Path
    sha256: str


class MeshCoderEntry(NamedTuple):
    """The networks that code meshes: 4 bytes of id, file, hash in hex."""

    coder_id: bytes
    path: Path
    sha256: str


class WeightsEntry(NamedTuple):
    """One model of the registry.

    Attributes
    ----------
    model_id : 4 bytes, as ``.vat`` headers hold it
    path : the safetensors file
    sha256 : its hash in hex
    config : shape of the model, with the encoder that encodes
    name : what people call it
    coder_path, coder_sha256 : the file of the integer networks that entropy-code its tokens, and its hash;
        None where the model has none
    prior : the transformer over its tokens; None where the model has none
    encoder : the encoder and the projections into the quantizer; None where those of the model's own file
        encode
    """

    model_id: bytes
    path: Path
    sha256: str
    config: ModelConfig
    name: str
    coder_path: Path | None = None
    coder_sha256: str | None = None
    prior: PriorEntry | None = None
    encoder: EncoderEntry | None = None


def weights_folder() -> Path:
    """Where the shipped weights lie: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    for folder in (package / "weights_data", package.parent / "weights"):
        if (folder / "registry.json").is_file():
            return folder
    raise WeightsError(f"{package}: no weights found", REMEDY)


class Registry:
    """The models of one weights folder."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or weights_folder()
        path = self.folder / "registry.json"
        try:
            content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            self.default_id: str = content["default"]
            self.entries = {
                name: _entry(self.folder, bytes.fromhex(name), **entry)
                for name, entry in content["models"].items()
            }
            self.default_mesh_coder_id: str | None = content.get("default_mesh_coder")
            self.mesh_coders = {
                name: MeshCoderEntry(bytes.fromhex(name), self.folder / entry["file"], entry["sha256"])
                for name, entry in content.get("mesh_coders", {}).items()
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise WeightsError(f"{path}: not a readable registry ({error})", REMEDY) from error

    def default(self) -> WeightsEntry:
        """The model that encodes when none is named."""
        if self.default_id not in self.entries:
            fault = f"the default model {self.default_id!r} is not among its models"
            raise WeightsError(f"{self.folder}: {fault}", REMEDY)
        return self.entries[self.default_id]

    def find(self, model_id: bytes) -> WeightsEntry:
        """The model of a ``.vat`` header. Raises UnknownModelError when it is not here."""
        if model_id.hex() not in self.entries:
            raise self._unknown(model_id, self.entries)
        return self.entries[model_id.hex()]

    def default_mesh_coder(self) -> MeshCoderEntry:
        """The networks that code meshes when none are named. WeightsError: the folder has none."""
        if self.default_mesh_coder_id is None:
            raise WeightsError(f"{self.folder}: no networks that code meshes", REMEDY)
        return self.find_mesh_coder(bytes.fromhex(self.default_mesh_coder_id))

    def find_mesh_coder(self, coder_id: bytes) -> MeshCoderEntry:
        """The networks that a ``.vat`` header names. UnknownModelError: they are not here."""
        if coder_id.hex() not in self.mesh_coders:
            raise self._unknown(coder_id, self.mesh_coders)
        return self.mesh_coders[coder_id.hex()]

    def _unknown(self, model_id: bytes, known: Iterable[str]) -> UnknownModelError:
        here = ", ".join(known) or "none"
        return UnknownModelError(
            f"made with model {model_id.hex()}, which is not installed (here: {here})",
            "install the meshcodec version that wrote it, or pass --weights FOLDER",
        )


def _entry(
    folder: Path,
    model_id: bytes,
    name: str,
    file: str,
    sha256: str,
    config: dict[str, Any],
    coder: dict[str, str] | None = None,
    prior: dict[str, Any] | None = None,
    encoder: dict[str, Any] | None = None,
) -> WeightsEntry:
    entry = WeightsEntry(model_id, folder / file, sha256, ModelConfig.from_dict(config), name)
    if coder is not None:
        entry = entry._replace(coder_path=folder / coder["file"], coder_sha256=coder["sha256"])
    if prior is not None:
        shape = PriorConfig.from_dict(prior["config"])
        entry = entry._replace(prior=PriorEntry(folder / prior["file"], prior["sha256"], shape))
    if encoder is not None:
        shape_of_all = ModelConfig.from_dict(config | encoder["config"])
        part = EncoderEntry(folder / encoder["file"], encoder["sha256"])
        entry = entry._replace(config=shape_of_all, encoder=part)
    return entry
