"""The words of a sweep of three points, and the names of its points."""

from __future__ import annotations

RANKS = ("lora.r=2,4,8",)
NAMES = ["lora.r=2", "lora.r=4", "lora.r=8"]
