"""Loads modules without a search for garbage meanwhile.

Modules are made to stay, and Python, which looks for garbage whenever enough objects were made, looks through
all of them again and again while they are made: a fifth of the time that loading torch and trimesh takes.
"""

from __future__ import annotations

import gc
import importlib
import sys


def load(*names: str) -> None:
    """Import modules by name, without a search for garbage; then such searches are as before."""
    if all(name in sys.modules for name in names):
        return
    enabled = gc.isenabled()
    gc.disable()
    try:
        for name in names:
            importlib.import_module(name)
    finally:
        if gc.get_freeze_count() == 0:
            # Takes all objects for old ones, which are looked at seldom.
            gc.freeze()
            gc.unfreeze()
        if enabled:
            gc.enable()
