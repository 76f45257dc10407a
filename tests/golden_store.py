"""The store that version 1 wrote: tests/golden/README.md says how."""

from __future__ import annotations

from pathlib import Path

GOLDEN = Path(__file__).parent / "golden" / "store_1"
LORA, HEAD, DIVERGED = "3bb9adbebda01e37", "8d4c26e802ecdc4a", "330671531fecdfeb"
SWEEP = "08e028d514598913"  # of the first two
