"""Fingerprints: content, remembered, cheap."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from made_files import as_csv, config, write

import tunesweep
from tunesweep.data import location
from tunesweep.data.location import file_digest, fingerprint


def test_fingerprint_follows_content_not_names(tmp_path: Path) -> None:
    first, second = write(tmp_path, "a.csv", as_csv()), write(tmp_path, "b.csv", as_csv())
    cache = tmp_path / "cache"
    assert fingerprint(config(first), cache) == fingerprint(config(second), cache)
    known = fingerprint(config(first, test=str(second)), cache)
    assert known != fingerprint(config(first), cache)
    write(tmp_path, "b.csv", as_csv() + "\nmore,fresh")
    assert fingerprint(config(first, test=str(second)), cache) != known


def test_a_digest_is_remembered_until_the_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, cache = write(tmp_path, "a.bin", b"one"), tmp_path / "cache"
    monkeypatch.setattr(location.time, "time", lambda: path.stat().st_ctime + 10)
    assert file_digest(path, cache) == hashlib.sha256(b"one").hexdigest()
    monkeypatch.setattr(location, "content_digest", lambda _: "read again")
    assert file_digest(path, cache) == hashlib.sha256(b"one").hexdigest()
    before = path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # as cp -p would leave it
    assert file_digest(path, cache) == "read again"


def test_a_broken_or_unwritable_memory_of_digests_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, cache = write(tmp_path, "a.bin", b"one"), tmp_path / "cache"
    monkeypatch.setattr(location.time, "time", lambda: path.stat().st_ctime + 10)
    expected = file_digest(path, cache)
    next((cache / "hashes").iterdir()).write_text(expected[:20])
    assert file_digest(path, cache) == expected == hashlib.sha256(b"one").hexdigest()
    assert file_digest(path, write(tmp_path, "not_a_folder", b"")) == expected


def test_planning_imports_nothing_heavy(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", as_csv())
    env = os.environ | {"PYTHONPATH": str(Path(tunesweep.__file__).parents[1])}
    code = (
        "import sys; from pathlib import Path; from tunesweep.config import DatasetConfig;"
        "from tunesweep.data.location import fingerprint;"
        f"fingerprint(DatasetConfig(name='f', train={str(path)!r}), Path({str(tmp_path)!r}));"
        "fingerprint(DatasetConfig(name='d', train='sklearn:digits'), Path('.'));"
        "heavy = {'torch', 'pandas', 'numpy', 'datasets', 'sklearn', 'huggingface_hub', 'pyarrow'};"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=env, check=False
    )
    assert done.returncode == 0, done.stderr
