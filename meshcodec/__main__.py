"""``python -m meshcodec``."""

from __future__ import annotations

from meshcodec.cli import main

if __name__ == "__main__":
    main()
