"""Writes a new YAML, and for an encoding in a clone its class; what is there already is never replaced."""

from __future__ import annotations

import difflib
import keyword
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tunesweep import door
from tunesweep.errors import BadConfig, StorageError, require
from tunesweep.scaffold import peft_method
from tunesweep.scaffold.peft_method import PeftMethod

KINDS = ("method", "dataset", "encoding", "experiment")
TEMPLATES = Path(__file__).parent
PACKAGE = TEMPLATES.parent
NAME = re.compile(r"[a-z][a-z0-9_]*")
# What YAML or Hydra's command line takes for something else than a word.
OTHERWISE = frozenset({"null", "true", "false", "yes", "no", "on", "off", "nan", "inf", "none"})


@dataclass(frozen=True)
class Written:
    """The files, and the command that uses them."""

    files: list[Path]
    command: str
    remarks: list[str]


def write(kind: str, name: str, to: Path | None = None) -> Written:
    """Write a member of a group under `to`, a folder for `--config-dir`, or into the conf/ of a clone.

    Raises `BadConfig` for a name that cannot be chosen or exists, `StorageError` where it cannot be written.
    """
    require(kind, KINDS, "the kind")
    _check_name(kind, name)
    folder = to or _clone()
    texts = _texts(kind, name, folder, with_class=to is None)
    for path in [door.conf_folder() / kind / f"{name}.yaml", *texts]:
        if path.exists() or path.is_symlink():
            raise BadConfig(f"{path} exists, and nothing is replaced: choose another name")
    for path, text in texts.items():
        _put(path, text)
    return Written(list(texts), _command(kind, name, to), _remarks(kind, name, to))


def _check_name(kind: str, name: str) -> None:
    if not NAME.fullmatch(name):
        raise BadConfig(
            f"{name!r} is no name for a new {kind}: write lower-case letters, digits and '_', a letter first"
        )
    if name in OTHERWISE or keyword.iskeyword(name):
        raise BadConfig(f"{name} is a word of YAML, Hydra or Python: choose another name for the new {kind}")


def _clone() -> Path:
    """Return the conf/ of the clone that the code runs from."""
    folder = door.conf_folder()
    if folder.is_relative_to(PACKAGE):
        raise BadConfig("this is an installed package, not a clone: name a folder of your own by --to FOLDER")
    return folder


def _texts(kind: str, name: str, folder: Path, *, with_class: bool) -> dict[Path, str]:
    """Return the files and what they will hold; an encoding's class lies where a `_target_` may name it."""
    path = folder / kind / f"{name}.yaml"
    if kind == "method":
        return {path: _of_peft(_filled("method.yaml", name), peft_method.named(name) or peft_method.EXAMPLE)}
    if kind != "encoding" or not with_class:
        return {path: _filled(f"{kind}.yaml", name)}
    module = PACKAGE / "data" / "encodings" / f"{name}.py"
    return {module: _filled("encoding_class.template", name), path: _filled("encoding_class.yaml", name)}


def _filled(template: str, name: str) -> str:
    text = (TEMPLATES / template).read_text(encoding="utf-8")
    return text.replace("NAME", name).replace("CLASS", "".join(part.capitalize() for part in name.split("_")))


def _of_method(name: str, to: Path | None) -> Iterator[str]:
    """Say where a method is not what its name promises, and that its rate is another's."""
    if peft_method.named(name) is None:
        near = difflib.get_close_matches(name, peft_method.names(), n=1)
        meant = f" (did you mean {near[0]}?)" if near else ""
        yield (
            f"PEFT has no method {name} that adapts layers by name{meant}: the file holds its "
            f"{peft_method.EXAMPLE.config}, to be replaced"
        )
    rates = ["train.lr=1e-3,1e-2", "report.tuning=[train.lr]"]
    compared = shlex.join([*_program("-m"), *_place(to), f"method={name},lora", *rates])
    yield f"its rate is lora's, not tuned for it; to compare both at several: {compared}"


def _of_peft(text: str, method: PeftMethod) -> str:
    for word, value in (("TRAINS", method.trains), ("CONFIG", method.config), ("ARGUMENTS", method.yaml)):
        text = text.replace(word, value)
    return text


def _put(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:  # also where it has come into being meanwhile
            file.write(text)
    except OSError as error:
        reason = error.strerror or error
        raise StorageError(
            f"{path} cannot be written ({reason}): name another folder by --to FOLDER"
        ) from None


def _command(kind: str, name: str, to: Path | None) -> str:
    small = ["scale=small"] if kind == "experiment" else []
    return shlex.join([*_program(), *_place(to), f"{kind}={name}", *small, "plan=true"])


def _program(*words: str) -> list[str]:
    installed = door.conf_folder().is_relative_to(PACKAGE)
    return [*(["tunesweep-train"] if installed else ["python", "train.py"]), *words]


def _place(to: Path | None) -> list[str]:
    return [] if to is None else ["--config-dir", str(to)]


def _remarks(kind: str, name: str, to: Path | None) -> list[str]:
    found = [f"its rows are read from {name}.csv, until train: says otherwise"] if kind == "dataset" else []
    if kind == "method":
        found += _of_method(name, to)
    if to is None:
        found.append(
            f"where it is to become part of this project, name it in README.md beside the others of {kind}"
        )
    return found
