"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass

OK, NOTE, FAILS = "ok", "note", "fails"  # the last: it would stop the main sweep


@dataclass(frozen=True)
class Finding:
    """One line: what was asked, how it stands, what was found, and what to do about it, if anything."""

    check: str
    status: str
    found: str
    remedy: str = ""

    def line(self) -> str:
        """Return it as one line for people."""
        said = ": ".join(filter(None, (self.found, self.remedy)))
        return f"{self.status:<5}  {self.check:<12}  {' '.join(said.split())}"
