#!/usr/bin/env bash
# The bounding box of a mesh, by numpy as everyone writes it, takes ten times as long as it need.
#
# The box of vertices is `vertices.min(axis=0)` and `vertices.max(axis=0)` of an array of n rows of x, y, z. One expects
# both to be bound by memory, so that copying the array into three contiguous rows first can only cost. With numpy 2.4.6
# each takes some 20 to 50 nanoseconds a vertex, as the reduction runs along rows of three numbers; after the copy, whose
# time is counted, both together take a tenth or less, as long rows are reduced by vector instructions. The same holds
# for `any(axis=1)` of what is looked up for the three corners of faces, against `a | b | c` of three columns.
#
# A reader of meshes that looks at the box a few times spends most of its time there: one of 50 000 faces was read in
# half the time after the change.
#
# Installs numpy into an environment of its own, and fails unless the copy gives the same box in less than a third of the
# time.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import timeit

import numpy as np

rng = np.random.default_rng(0)
vertices = rng.random((33_000, 3))
faces = rng.integers(0, len(vertices), (50_000, 3))
marked = rng.random(len(vertices)) < 0.01


def as_written():
    return vertices.min(axis=0), vertices.max(axis=0)


def by_rows():
    rows = np.ascontiguousarray(vertices.T)
    return rows.min(axis=1), rows.max(axis=1)


def corners_as_written():
    return marked[faces].any(axis=1)


def corners_by_columns():
    a, b, c = faces.T
    return marked[a] | marked[b] | marked[c]


def milliseconds(work):
    return min(timeit.repeat(work, number=10, repeat=7)) * 100


assert np.array_equal(as_written(), by_rows())
assert np.array_equal(corners_as_written(), corners_by_columns())
box, rows = milliseconds(as_written), milliseconds(by_rows)
print(f"numpy {np.__version__}: the box of {len(vertices)} vertices")
print(f"  min(axis=0) and max(axis=0):     {box:.3f} ms")
print(f"  copy of three rows, then axis=1: {rows:.3f} ms, {box / rows:.0f} times as fast")
corners, columns = milliseconds(corners_as_written), milliseconds(corners_by_columns)
print(f"which of {len(faces)} faces have a marked corner")
print(f"  marked[faces].any(axis=1):       {corners:.3f} ms")
print(f"  three columns, or:               {columns:.3f} ms, {corners / columns:.0f} times as fast")
assert box > 3 * rows, "numpy reduces columns of three quickly now"
PYTHON
