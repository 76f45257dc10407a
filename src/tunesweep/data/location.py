"""Where the data lie, and what they contain as one hash; planning asks, so nothing heavy is imported."""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import json
import os
import re
import tempfile
import time
from pathlib import Path, PurePath

from tunesweep.config import SPLITS, DatasetConfig
from tunesweep.data import hub
from tunesweep.errors import BadConfig, BadData, suggest

COMPRESSED = (".gz", ".bz2", ".xz")
FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
}
DIGITS = "package:sklearn/datasets/data/digits.csv.gz"
IDX_PREFIX = {"train": "train", "test": "t10k"}  # as published


def data_folder(name: str) -> str | None:
    """Return the folder of a local copy, $TUNESWEEP_DATA/NAME, where it is there: `${data_folder:NAME}`."""
    root = os.environ.get("TUNESWEEP_DATA")
    folder = Path(root).expanduser() / name if root else None
    return str(folder) if folder is not None and folder.is_dir() else None


def locations(config: DatasetConfig) -> dict[str, str]:
    """Return split -> location, of the splits that are given rather than cut."""
    given = {split: getattr(config, split) for split in SPLITS}
    if config.folder:
        given |= {split: str(_idx_images(Path(config.folder), split)) for split in IDX_PREFIX}
    return {split: location for split, location in given.items() if location}


def _idx_images(folder: Path, split: str) -> Path:
    prefix = IDX_PREFIX[split]
    names = [f"{prefix}-images{dash}idx3-ubyte{end}" for dash in "-." for end in ("", ".gz")]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise BadData(f"dataset.folder={folder} must hold {names[0]} (or .gz): download the four IDX files there")


def resolve(location: str, key: str = "dataset.train") -> Path:
    """Return the file that a path or `package:NAME/FILE` names; refuse one that is not there."""
    path = _in_package(location, key) if location.startswith("package:") else Path(location).expanduser()
    if path.is_dir():
        raise BadData(f"{key}={location} is a folder: name a file in it; {_nearest(path, path.name)}")
    if not path.is_file():
        raise BadData(f"{key}={location} does not exist: {_nearest(path.parent, path.name)}")
    return path


def _in_package(location: str, key: str) -> Path:
    name, _, inside = location.removeprefix("package:").partition("/")
    # A dotted name would import the parent package; a top-level one is only looked up.
    spec = importlib.util.find_spec(name) if name.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise BadData(f"{key}={location} needs the package '{name}': pip install --no-deps {name}")
    folder = Path(next(iter(spec.submodule_search_locations))).resolve()
    path = (folder / inside).resolve()
    if not path.is_relative_to(folder):
        raise BadConfig(f"{key}={location} leaves the package: name a file inside '{name}'")
    return path


def _nearest(folder: Path, name: str) -> str:
    """Say which files of a folder come nearest to a name."""
    try:
        names = sorted(entry.name for entry in folder.iterdir() if entry.is_file())
    except OSError:
        return f"there is no folder {folder}"
    kind = Path(name).suffix  # of a folder there is none
    alike = [other for other in names if Path(other).suffix == kind or not kind]
    near = difflib.get_close_matches(name, names, n=3) or alike[:3]
    where = folder.resolve()
    return f"{where} has {', '.join(near)}" if near else f"{where} has none like it"


def idx_labels(images: Path) -> Path:
    """Return the file of labels that belongs to an IDX file of images."""
    name = images.name.replace("images", "labels").replace("idx3", "idx1")
    plain = images.with_name(name.removesuffix(".gz"))
    for path in (images.with_name(name), plain, plain.with_name(plain.name + ".gz")):
        if path.is_file() and path != images:
            return path
    raise BadData(f"{images} has no file of labels beside it: expected {name} in the same folder")


def format_of(path: Path, config: DatasetConfig) -> str:
    """Return the format of a file, by its name unless the config says it."""
    if config.format != "auto":
        return config.format
    if config.pattern:
        return "lines"
    name = PurePath(path.name)
    name = name.with_suffix("") if name.suffix in COMPRESSED else name
    if re.search(r"idx\d-ubyte$", name.name):
        return "idx"
    if name.suffix.lower() in FORMATS:
        return FORMATS[name.suffix.lower()]
    if config.task == "language_modeling":  # a running text may be called anything
        return "text"
    options = ["csv", "tsv", "jsonl", "json", "parquet", "lines", "idx"]
    raise BadConfig(f"dataset.format=auto cannot tell by the name {path.name}: set {suggest('', options)}")


def file_digest(path: Path, cache: Path) -> str:
    """Return the sha256 of a file, remembered in the cache while the file system sees no change of it."""
    status = path.stat()
    # The time of the inode's change cannot be set back, as that of the content can (cp -p, touch -r).
    seen = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
    key = json.dumps([str(path.resolve()), *seen])
    memo = cache / "hashes" / hashlib.sha256(key.encode()).hexdigest()[:32]
    known = memo.read_text() if memo.is_file() else ""
    if re.fullmatch("[0-9a-f]{64}", known):
        return known
    digest = content_digest(path)
    # A file changed within the clock's last tick could change again under the same time.
    if time.time() - status.st_ctime > 2:
        _remember(memo, digest)
    return digest


def content_digest(path: Path) -> str:
    """Return the sha256 of a file's bytes, read anew whatever its time of change says."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise BadData(f"{path} cannot be opened: {error.strerror}; check its permissions") from None


def _remember(memo: Path, digest: str) -> None:
    try:
        memo.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=memo.parent)
        with os.fdopen(handle, "w") as stream:
            stream.write(digest)
        Path(temporary).replace(memo)
    except OSError:
        return  # a cache that cannot be written to costs time, never a wrong number


def fingerprint(config: DatasetConfig, cache: Path) -> str:
    """Return a hash of what the splits contain: bytes of files, commits of hub ids; no path, no time."""
    parts = {split: _content(split, place, config, cache) for split, place in locations(config).items()}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def pinned(config: DatasetConfig) -> str | None:
    """Return the revision to load: the commit of now, where all splits come from one hub id."""
    ids = {hub.parse(place).id for place in locations(config).values() if place.startswith("hub:")}
    return hub.commit(ids.pop(), config.revision) if len(ids) == 1 else config.revision


def _content(split: str, location: str, config: DatasetConfig, cache: Path) -> str:
    if location.startswith("hub:"):
        source = hub.parse(location)
        return f"{location}@{hub.commit(source.id, config.revision)}"
    if location.startswith("sklearn:"):
        return f"{location} {file_digest(digits(location), cache)}"
    path = resolve(location, f"dataset.{split}")
    kind = format_of(path, config)
    files = [path, idx_labels(path)] if kind == "idx" else [path]
    return " ".join([kind, *(file_digest(file, cache) for file in files)])


def digits(location: str) -> Path:
    """Return scikit-learn's own file of digits, without importing it."""
    if location != "sklearn:digits":
        raise BadConfig(f"dataset.train={location} is not known: sklearn:digits is the one of this kind")
    return resolve(DIGITS)
