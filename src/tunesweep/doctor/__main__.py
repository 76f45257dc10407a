"""`python -m tunesweep.doctor [STORE]`: the same where packages that `tunesweep` needs are missing."""

from __future__ import annotations

import sys
from pathlib import Path

from tunesweep.doctor.examine import examine
from tunesweep.doctor.finding import FAILS


def main() -> None:
    """Print a line each; the status is 1 where a check fails."""
    failed = False
    for finding in examine(Path(sys.argv[1] if len(sys.argv) > 1 else "multirun")):
        print(finding.line(), flush=True)
        failed = failed or finding.status == FAILS
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
