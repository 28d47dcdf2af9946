#!/usr/bin/env bash
# scipy.spatial imports numpy's reader of Fortran sources, and Python's test framework.
#
# NumPy 2 leaves what few programs need for their first use: numpy.f2py, which reads Fortran and writes C, numpy.testing
# with Python's unittest, numpy.polynomial, numpy.ctypeslib. So one expects that a program which needs a k-d tree, such as
# a tool that measures the distance of two meshes and starts anew for each file, pays for none of them. With SciPy 1.17
# scipy.spatial, as whatever of SciPy takes arrays of other libraries, copies all names of numpy into a module of its own,
# and asking numpy for each of its names loads what it had left for later: all four, seventeen modules of numpy.f2py alone.
#
# Installs scipy and numpy into an environment of their own, imports both in a fresh process, and fails unless numpy
# alone loads none of the four and scipy.spatial all of them.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet scipy==1.17.1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys
import time

import numpy

LATER = ["numpy.ctypeslib", "numpy.f2py", "numpy.polynomial", "numpy.testing"]


def loaded():
    return [name for name in LATER if name in sys.modules]


alone = loaded()
start = time.perf_counter()
import scipy.spatial

whole = time.perf_counter() - start
fortran = [name for name in sys.modules if name.startswith("numpy.f2py")]
print(f"numpy {numpy.__version__} alone: {alone}")
print(f"scipy.spatial {scipy.__version__}: {loaded()}, {len(fortran)} modules of numpy.f2py, {whole:.2f} s")
assert alone == [], "numpy itself loads some of them"
assert loaded() == LATER, "scipy.spatial loads no longer all of them"
assert "numpy.f2py.crackfortran" in sys.modules and "unittest" in sys.modules
PYTHON
