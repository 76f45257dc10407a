"""What `tunesweep import` refuses of another store, alone and without a trace."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from importing import edit, import_

from golden_store import DIVERGED, GOLDEN, HEAD, LORA
from tunesweep.care import foreign
from tunesweep.care.merge import merge
from tunesweep.errors import StorageError
from tunesweep.store import Store


def _leave_store(data: dict[str, Any]) -> None:
    data["artefacts"]["predictions"] = "../secret"


def _leave_folder(data: dict[str, Any]) -> None:
    data["integrity"]["files"][f"adapters/{LORA}/../../../secret"] = hashlib.sha256(b"secret").hexdigest()


def _absolute(data: dict[str, Any]) -> None:
    data["integrity"]["files"]["/etc/passwd"] = "0"


def _of_another(data: dict[str, Any]) -> None:
    data["artefacts"]["adapter"] = f"adapters/{HEAD}"


def _pickle(data: dict[str, Any]) -> None:
    data["integrity"]["files"][f"adapters/{LORA}/adapter_model.bin"] = "0"


def _no_digest(data: dict[str, Any]) -> None:
    data["integrity"]["files"] = {}


def _other_digest(data: dict[str, Any]) -> None:
    data["integrity"]["files"][f"predictions/{LORA}.parquet"] = "0" * 64


def _gone(data: dict[str, Any]) -> None:
    data["integrity"]["files"][f"adapters/{LORA}/more.safetensors"] = "0" * 64


def _digest_of_a_kind(data: dict[str, Any]) -> None:
    data["integrity"]["files"][f"predictions/{LORA}.parquet"] = 7


HOSTILE: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "artefact outside": (_leave_store, r"names '\.\./secret' as its predictions"),
    "file outside": (_leave_folder, "which is no file of its run"),
    "absolute file": (_absolute, "'/etc/passwd', which is no file of its run"),
    "another's adapter": (_of_another, f"names 'adapters/{HEAD}' as its adapter"),
    "pickled weights": (_pickle, r"adapter_model.bin', which is no file of its run"),
    "no digest": (_no_digest, "names (predictions|adapter) without a digest"),
    "other digest": (_other_digest, "has other content than its record says"),
    "file gone": (_gone, "does not exist, though its record names it"),
    "digest no text": (_digest_of_a_kind, "which is no file of its run"),
    "another id": (lambda data: data.update(run_id="b"), "it says it is run b"),
    "metrics a list": (lambda data: data.update(metrics=[]), "its metrics is not of type dict"),
    "no such metric": (
        lambda d: d["metrics"].update(protocol={"split": "x", "metric": "y"}),
        "not a readable",
    ),
    "protocol a text": (lambda data: data["metrics"].update(protocol="x"), "not a readable"),
    "not a number": (lambda data: data["cost"].update(minutes=float("nan")), "not a readable"),
    "half a letter": (lambda data: data.update(name="\ud800"), "not a readable"),
    "of tomorrow": (lambda data: data.update(schema_version=99), "update tunesweep"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_record_is_refused_alone_and_leaves_nothing(case: str, store: Store, ours: Store) -> None:
    change, sentence = HOSTILE[case]
    (store.root.parent / "secret").write_text("secret")
    edit(store, LORA, change)
    result = import_(ours, store.root)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    with pytest.raises(StorageError, match=sentence):
        raise StorageError(result.stderr)
    assert "2 runs and 2 sweeps imported" in result.stdout
    assert sorted(record.run_id for record in ours.records()) == sorted([HEAD, DIVERGED])
    assert not list(ours.root.glob(f"*/*{LORA}*[!k]"))  # but for its lock
    assert not [path for path in ours.root.rglob("*") if path.name == "secret"]


def test_files_that_a_record_does_not_name_do_not_come(store: Store, ours: Store) -> None:
    (store.root / "adapters" / LORA / "adapter_model.bin").write_bytes(b"code")
    assert merge(ours, store.root).problems == []
    assert not (ours.root / "adapters" / LORA / "adapter_model.bin").exists()


def test_links_are_refused(store: Store, ours: Store, tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_bytes((GOLDEN / "records" / f"{HEAD}.json").read_bytes())
    store.path("records", HEAD).unlink()
    store.path("records", HEAD).symlink_to(secret)
    adapters = store.root / "adapters"
    adapters.rename(tmp_path / "elsewhere")
    adapters.symlink_to(tmp_path / "elsewhere")
    done = merge(ours, store.root)
    assert done.problems == [
        f"{store.path('records', HEAD)} is a link, and links are not followed",
        f"{adapters} is a link, and links are not followed",
    ]
    assert [record.run_id for record in ours.records()] == [DIVERGED]


def test_a_file_that_is_a_link_is_refused(store: Store, ours: Store, tmp_path: Path) -> None:
    weights = store.root / "adapters" / HEAD / "trained.safetensors"
    shutil.move(weights, tmp_path / "same")
    weights.symlink_to(tmp_path / "same")
    assert merge(ours, store.root).problems == [f"{weights} is a link, and links are not followed"]


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("a.json", "[" * 100_000, "a.json is not a readable record"),
        ("a.json", "1" * 10_000, "a.json is not a readable record"),
        ("a b.json", "{}", r"a b.json' is not named as a file of runs is"),
        ("a\x1b[31m.json", "{}", r"a\\x1b\[31m.json' is not named"),
        ("b.txt", "", "b.txt' is not named"),
    ],
)
def test_an_odd_file_among_the_records_is_refused_alone(
    store: Store, ours: Store, name: str, text: str, sentence: str
) -> None:
    (store.root / "records" / name).write_text(text)
    done = merge(ours, store.root)
    assert len(done.runs) == 3
    assert len(done.problems) == 1
    with pytest.raises(StorageError, match=sentence):
        raise StorageError(done.problems[0])


def test_a_huge_file_is_refused_before_it_is_read(
    store: Store, ours: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.path("records", "huge").open("wb") as file:
        file.truncate(foreign.MOST_BYTES + 1)
    os.mkfifo(store.root / "records" / "pipe.json")  # reading it would wait for ever
    read = Path.read_text

    def careful(path: Path, **options: Any) -> str:
        assert path.stem not in ("huge", "pipe")
        return read(path, **options)

    monkeypatch.setattr(Path, "read_text", careful)
    huge, pipe = merge(ours, store.root).problems
    assert "huge.json has 64,000,001 bytes, where 64,000,000 are the most" in huge
    assert "is not named as a file of runs is" in pipe


@pytest.mark.parametrize(
    "data",
    [
        [],
        {"sweep_id": "s"},
        {"sweep_id": "s", "members": ["../a"]},
        {"sweep_id": "s", "members": [1]},
        {"sweep_id": "s", "members": [], "points": []},
        {"sweep_id": "other", "members": []},
        {"sweep_id": "s", "members": [], "x": float("inf")},
    ],
)
def test_an_odd_sweep_is_refused_alone(store: Store, ours: Store, data: object) -> None:
    store.path("sweeps", "s").write_text(json.dumps(data))
    done = merge(ours, store.root)
    assert len(done.sweeps) == 2
    assert len(done.problems) == 1
    assert "s.json" in done.problems[0]
    assert ours.get_sweep("s") is None
