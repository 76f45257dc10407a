"""What a refusal has to look like, and the small runs that are refused."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tunesweep.record import RunRecord

DIGITS = ("model=logistic", "dataset=digits", "method=full", "train.epochs=1")
DIGITS += ("dataset.limit.train=60", "dataset.limit.select=20", "dataset.limit.test=60")
GOOD = "text,label\n" + "".join(f"a good film {i},fresh\na bad film {i},rotten\n" for i in range(20))


def one_sentence(result: subprocess.CompletedProcess[str], *words: str) -> None:
    assert result.returncode == 1, result.stdout + result.stderr
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error: ")
    assert all(word in lines[0] for word in words), lines[0]


def failure(record: RunRecord, kind: str, *words: str) -> None:
    assert record.failed
    assert record.failure is not None
    assert record.failure["class"] == kind, record.failure
    assert "\n" not in record.failure["message"]
    assert all(word in record.failure["message"] for word in words), record.failure["message"]


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path
