"""The machine room of a codec: device, kernel, registry and the networks that are loaded."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")
