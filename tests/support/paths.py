"""Places in the checkout."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
EXAMPLES = ROOT / "examples"
GOLDEN = TESTS / "golden" / "v1"
BAD = TESTS / "golden" / "bad"
