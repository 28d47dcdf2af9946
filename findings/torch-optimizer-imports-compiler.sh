#!/usr/bin/env bash
# The first optimizer of torch that is made imports torch's compiler.
#
# A program that fits a few numbers by gradients, such as a codec that refines its code for one mesh, makes an optimizer
# of one small tensor. One expects that to cost next to nothing once torch is imported: nothing is compiled, and
# torch.compile is not called. With torch 2.13 the constructor of torch.optim.Adam, as that of every other optimizer,
# imports torch._dynamo, some eight hundred modules, which takes about as long as importing torch itself took. A second
# optimizer is made in less than a thousandth of that. So a command that takes a few steps pays it in every process.
#
# Installs torch into an environment of its own, makes two optimizers in a fresh process, and fails unless the first
# one imports torch._dynamo and hundreds of modules, and takes more than a hundred times as long as the second.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys
import time

start = time.perf_counter()
import torch

of_torch = time.perf_counter() - start


def make():
    start, before = time.perf_counter(), set(sys.modules)
    torch.optim.Adam([torch.zeros(2, requires_grad=True)])
    return time.perf_counter() - start, len(set(sys.modules) - before)


assert "torch._dynamo" not in sys.modules, "import torch loads the compiler already"
first, modules = make()
second, more = make()
print(f"torch {torch.__version__}: import {of_torch:.2f} s")
print(f"first optimizer: {first:.2f} s, {modules} modules, torch._dynamo {'torch._dynamo' in sys.modules}")
print(f"second optimizer: {second:.5f} s, {more} modules")
assert "torch._dynamo" in sys.modules, "an optimizer no longer imports the compiler"
assert modules > 300 and first > 100 * second
PYTHON
