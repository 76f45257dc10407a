"""What another store holds, read as anybody's writing: checked, and refused with a sentence (`Refused`)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from tunesweep.care import tree
from tunesweep.errors import StorageError
from tunesweep.record import RunRecord
from tunesweep.report.rows import Row
from tunesweep.store import NAME, UNREADABLE, is_sweep, parse

MOST_BYTES = 64 * 10**6  # of a JSON file: a sweep has about 5 kB a point, a record 10 kB
WEIGHTS = (".safetensors", ".json", ".md")  # what runs write; nothing that can hold code
_ODD = (*UNREADABLE, LookupError, ArithmeticError)


class Refused(StorageError):
    """An item of another store that must not come into ours."""


def names(root: Path, kind: str) -> Iterator[str | Refused]:
    """Yield the names of the files of a kind; of what is no plain file of ours, why it is refused."""
    folder = root / kind
    for link in tree.links(folder):
        yield Refused(f"{link} is a link, and links are not followed")
    for path in tree.entries(folder):
        if path.suffix == ".json" and NAME.fullmatch(path.stem) and path.is_file():
            yield path.stem
        elif not path.name.endswith((".part", ".broken")):
            yield Refused(f"{str(path)!r} is not named as a file of runs is")


def record(root: Path, run_id: str) -> RunRecord:
    """Return a record that can be shown in a table and names no file but its own."""
    path = root / "records" / f"{run_id}.json"
    try:
        found = parse(run_id, _text(path))
        Row.from_record(found)
        _check_text(json.loads(found.to_json()))
        _ = found.main_metric
    except Refused:
        raise
    except _ODD as error:
        raise Refused(f"{path} is not a readable record ({_short(error)})") from None
    _check_paths(path, found)
    return found


def sweep(root: Path, sweep_id: str) -> dict[str, Any]:
    """Return the file of a sweep."""
    path = root / "sweeps" / f"{sweep_id}.json"
    try:
        data = json.loads(_text(path))
        _check_text(data)
    except _ODD as error:
        raise Refused(f"{path} is not a readable sweep ({_short(error)})") from None
    if not is_sweep(data) or not all(NAME.fullmatch(name) for name in data["members"]):
        raise Refused(f"{path} is not a readable sweep (it lists no members)")
    if data.get("sweep_id") != sweep_id:
        raise Refused(f"{path} says it is sweep {data.get('sweep_id')!r}")
    return data  # type: ignore[no-any-return]


def files(found: RunRecord) -> dict[str, str]:
    """Return path below the store -> digest, of what a finished run left; nothing of a failed one."""
    told = found.integrity.get("files")
    return dict(told) if isinstance(told, dict) and found.succeeded else {}


def fetch(root: Path, path: str, digest: str, target: Path) -> None:
    """Copy a file, and refuse it unless the copy is what the record says."""
    from tunesweep.data.location import content_digest

    source = root
    for part in PurePosixPath(path).parts:
        source = source / part
        if source.is_symlink():
            raise Refused(f"{source} is a link, and links are not followed")
    if not source.is_file():
        raise Refused(f"{source} does not exist, though its record names it")
    target.parent.mkdir(parents=True, exist_ok=True)
    tree.copy(source, target)
    if content_digest(target) != digest:
        raise Refused(f"{source} has other content than its record says")


def _text(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise Refused(f"{path} has {size:,} bytes, where {MOST_BYTES:,} are the most for JSON")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise Refused(f"{path} cannot be opened: {error.strerror}") from None


def _check_text(data: Any) -> None:
    """Raise ValueError for what is no JSON, such as NaN, or no text, such as half of a pair of surrogates."""
    json.dumps(data, allow_nan=False, ensure_ascii=False).encode()


def _check_paths(path: Path, found: RunRecord) -> None:
    """Refuse artefacts elsewhere than where a run's own lie, and those without a digest."""
    own = {"predictions": f"predictions/{found.run_id}.parquet", "adapter": f"adapters/{found.run_id}"}
    for kind, place in found.artefacts.items():
        if own.get(kind) != place:
            raise Refused(f"{path} names {place!r} as its {kind}: runs have no such file")
    told = files(found)
    for file, digest in told.items():
        if not isinstance(digest, str) or not _within(file, found):
            raise Refused(f"{path} names {file!r}, which is no file of its run")
    for kind, place in (found.artefacts if found.succeeded else {}).items():
        if not any(PurePosixPath(file).is_relative_to(place) for file in told):
            raise Refused(f"{path} names {kind} without a digest to compare with")


def _within(file: str, found: RunRecord) -> bool:
    """Whether a path is in normal form, of an artefact of its run, and of a kind that runs write."""
    path = PurePosixPath(file)
    if file != path.as_posix() or ".." in path.parts or "\0" in file:
        return False
    if file == found.artefacts.get("predictions"):
        return True
    folder = found.artefacts.get("adapter")
    return folder is not None and path.is_relative_to(folder) and path.suffix in WEIGHTS


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
