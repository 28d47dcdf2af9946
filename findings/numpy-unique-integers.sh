#!/usr/bin/env bash
# numpy.unique of many different integers takes far longer than sorting them.
#
# Programs that work on meshes ask for the different edges, places or cells among millions of keys of 64 bits. One
# expects numpy.unique to cost about a sort of its argument, as its documentation has always described it, and the
# same for integers as for floating point numbers. With NumPy 2.4 integers take another way, a hash table, unless
# indices, inverses or counts are asked for as well: of a million keys that nearly all differ this takes many times as
# long as sorting them and comparing neighbours, which gives the same array. The same keys as float64 are quick, and so
# is numpy.unique with return_counts=True, which does more.
#
# Times these four in an environment of its own, the best of three each, and fails unless numpy.unique of the integers
# takes more than three times as long as each of the others.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import time

import numpy as np

keys = np.random.default_rng(0).integers(0, 2**53, 1_000_000)


def by_sorting():
    ordered = np.sort(keys)
    return ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])]


def seconds(work):
    found = []
    for _ in range(3):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return min(found)


as_float = keys.astype(np.float64)
assert (np.unique(keys) == by_sorting()).all()
assert (np.unique(as_float) == by_sorting()).all()
unique = seconds(lambda: np.unique(keys))
others = {
    "sorted, neighbours compared": seconds(by_sorting),
    "numpy.unique with return_counts=True": seconds(lambda: np.unique(keys, return_counts=True)),
    "numpy.unique of the same as float64": seconds(lambda: np.unique(as_float)),
}
print(f"NumPy {np.__version__}, {len(keys)} keys of 64 bits")
print("numpy.unique: 1")
for name, took in others.items():
    print(f"{name}: {took / unique:.3f}")
assert all(unique > 3 * took for took in others.values()), "numpy.unique of integers is no longer slow"
PYTHON
