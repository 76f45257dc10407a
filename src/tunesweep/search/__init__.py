"""Adaptive search: which point comes next depends on what came of those before."""
