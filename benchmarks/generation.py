"""How generated shapes compare with shapes that training has not seen: coverage, MMD and 1-NNA.

    python benchmarks/generation.py --corpus CORPUS -o generation.json

The recipe of the prior says which meshes of CORPUS are its validation set. As many shapes are drawn as that
has; beside them stand as many sets of random tokens, each token equally likely, and as many shapes of the
training corpus, which is what a perfect prior would give.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from meshcodec.api import Codec
from meshcodec.errors import CorruptFileError
from meshcodec.evaluation.generation import chamfer_matrix, set_scores, surface_points
from meshcodec.prior.generate import Generator
from meshcodec.prior.sampling import Sampling
from meshcodec.train.corpus import CorpusItem, is_validation, read_corpus
from meshcodec.train.recipe import PriorRecipe, read_recipe

Cloud = NDArray[np.float64]


def real_clouds(items: list[CorpusItem], points: int) -> list[Cloud]:
    """A cloud of each mesh of a corpus."""
    return [surface_points(*item.mesh(), points, number) for number, item in enumerate(items)]


def random_clouds(codec: Codec, count: int, tokens: int, points: int) -> list[Cloud]:
    """Clouds of what random tokens decode to, in cubes; what decodes to nothing is drawn again."""
    rng, clouds = np.random.default_rng(0), list[Cloud]()
    while len(clouds) < count:
        data = codec.from_tokens(rng.integers(0, 256, tokens))
        try:
            mesh = codec.decode(data, 128)
        except CorruptFileError:
            continue
        clouds.append(surface_points(mesh.vertices, mesh.faces, points, len(clouds)))
    return clouds


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--recipe", type=Path, default=Path("meshcodec/train/recipes/prior.json"))
    parser.add_argument("--weights", type=Path)
    parser.add_argument(
        "-n", type=int, help="shapes of each set; by default as many as the validation set has"
    )
    parser.add_argument("--points", type=int, default=1024, help="points of each shape")
    parser.add_argument("--top-p", type=float, default=Sampling().top_p)
    parser.add_argument("--temperature", type=float, default=Sampling().temperature)
    parser.add_argument("-o", type=Path, metavar="OUT.json")
    options = parser.parse_args()
    torch.set_num_threads(1)

    sources = read_recipe(options.recipe, PriorRecipe).validation_sources
    items = read_corpus(options.corpus)
    order = np.random.default_rng(1).permutation(len(items))
    validation = [items[k] for k in order if is_validation(items[k], sources)][: options.n]
    trained = [items[k] for k in order if not is_validation(items[k], sources)][: len(validation)]
    count, points = len(validation), options.points
    codec = Codec("cpu", options.weights)
    generator = Generator(codec)
    sampling = Sampling(temperature=options.temperature, top_p=options.top_p)
    tokens = codec.config.scale_ends()[generator.prior.config.scales - 1]

    def drawn() -> list[Cloud]:
        shapes = generator.generate(count, sampling=sampling)
        return [
            surface_points(s.mesh.vertices, s.mesh.faces, points, number) for number, s in enumerate(shapes)
        ]

    sets: dict[str, Callable[[], list[Cloud]]] = {
        "prior": drawn,
        "random tokens": lambda: random_clouds(codec, count, tokens, points),
        "training meshes": lambda: real_clouds(trained, points),
    }
    real = real_clouds(validation, points)
    clouds = {name: make() for name, make in sets.items()}
    pairs = [(real, real)] + [pair for made in clouds.values() for pair in ((made, made), (made, real))]
    with ThreadPoolExecutor() as pool:  # the searches run outside of Python's lock
        within, *others = pool.map(lambda pair: chamfer_matrix(*pair), pairs)
    print(f"{count} validation meshes, {points} points each\n")
    print(f"{'set':<18}{'coverage':>10}{'MMD':>10}{'1-NNA':>8}")
    report = {}
    for number, (name, made) in enumerate(clouds.items()):
        scores = set_scores(others[2 * number], within, others[2 * number + 1])
        report[name] = {"shapes": len(made), **dataclasses.asdict(scores)}
        print(f"{name:<18}{scores.coverage:>10.3f}{scores.mmd:>10.4f}{scores.one_nna:>8.3f}")
    if options.o is not None:
        options.o.write_text(json.dumps({"real": count, "points": points, "sets": report}, indent=1) + "\n")


if __name__ == "__main__":
    main()
