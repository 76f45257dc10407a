"""A finding, as tests read it."""

from __future__ import annotations

from tunesweep.doctor.finding import Finding


def said(finding: Finding) -> tuple[str, str]:
    return finding.status, f"{finding.found}: {finding.remedy}"
