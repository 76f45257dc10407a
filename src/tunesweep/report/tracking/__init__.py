"""W&B mirrors what the store holds: one run a point, and the comparison of each sweep (R8)."""

from tunesweep.report.tracking.mirror import mirror_run, mirror_sweep

__all__ = ["mirror_run", "mirror_sweep"]
