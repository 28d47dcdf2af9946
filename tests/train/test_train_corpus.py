"""Where training meshes come from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh

from meshcodec.prior.words import words_of
from meshcodec.train.corpus import read_corpus


def test_captions_come_from_the_index_or_the_path(tmp_path: Path) -> None:
    box = trimesh.creation.box((1, 2, 4))
    np.savez(
        tmp_path / "shard_00.npz",
        vertices=np.rint((box.vertices / 2 + 1) * 32767.5).astype(np.uint16),
        faces=box.faces,
        voff=np.array([0, 8]),
        foff=np.array([0, 12]),
        ids=np.array(["a1"]),
    )
    (tmp_path / "index.csv").write_text("id,source_repo,path,category\na1,some/where,x/OldChest.glb,prop\n")
    (item,) = read_corpus(tmp_path)
    assert (item.source, words_of(item.caption)) == ("some/where", ["prop", "old", "chest"])
    assert np.ptp(item.mesh()[0], axis=0) == pytest.approx([0.5, 1, 2], abs=1e-3)  # as it is
    assert np.ptp(item.load()[0], axis=0) == pytest.approx([2, 2, 2], abs=0.02)  # in its box
