"""An error of Hydra or OmegaConf as one sentence: the value, what was expected, what to do."""

from __future__ import annotations

import re
from collections.abc import Callable

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from tunesweep.errors import TunesweepError, suggest

EXPECTED = (TunesweepError, HydraException, OmegaConfBaseException, YAMLError)
_KINDS = {"Integer": "a whole number", "Float": "a number", "bool": "true or false", "ListConfig": "a list"}


def explain(error: BaseException) -> str:
    """Return one sentence for an error of the configuration: value, expectation, remedy."""
    if isinstance(error, TunesweepError):
        return str(error)
    if isinstance(error, OverrideParseException):
        return _unreadable(error.override)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return _unknown_choice(error)
    if isinstance(error, YAMLError):
        return f"a configuration file is no YAML: {' '.join(str(error).split())}"
    cause = _cause(error)
    text = f"{error}\n{cause}"
    for pattern, sentence in _SENTENCES:
        if match := re.search(pattern, text):
            return _file(text) + sentence(match, cause)
    return ": ".join(dict.fromkeys(line for line in map(_first_line, (error, cause)) if line))


def _cause(error: BaseException) -> BaseException:
    """Return OmegaConf's error, which knows the key; Hydra hands some of its own on without naming it."""
    if isinstance(error, OmegaConfBaseException):
        return error
    return error.__cause__ or error.__context__ or error


def _file(text: str) -> str:
    """Return the YAML file, group and name, where the error is in one."""
    found = re.match(r"In '([^']+)'", text)
    return f"{found[1]}.yaml: " if found else ""


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0]


def _unreadable(word: str) -> str:
    return (
        f"{word} cannot be read: write KEY=VALUE, the values of a sweep with commas between them "
        "(lora.r=4,8), and put a value with brackets, spaces or signs into quotes within quotes, "
        "as in dataset.text='\"my column\"'"
    )


def _unknown_choice(error: MissingConfigException) -> str:
    group, _, name = str(error.missing_cfg_file).rpartition("/")
    options = f"choose {suggest(name, error.options)}" if error.options else "there is no such file"
    return f"{group}={name} is not an option: {options}"


def _unknown_key(match: re.Match[str], cause: BaseException) -> str:
    key, node = match["key"], getattr(cause, "parent_node", None)
    if not isinstance(node, DictConfig):
        return f"{key} is not an option; `--cfg job` shows all there are"
    path, key = _path(node), getattr(cause, "full_key", None) or key
    part = key.removeprefix(f"{path}.").split(".")[0]
    # Hydra composes a sweep once without the groups that it sweeps: a key of theirs alone is not there yet.
    open_ended = OmegaConf.get_type(node) is dict
    if open_ended and not len(node):
        return f"{key} is not there yet: to add it, write ++{key}=VALUE"
    hint = f" (for a key that only a swept option has, write ++{key})" if open_ended else ""
    return f"{key} is not an option: {path or 'the command'} takes {suggest(part, _names(node))}{hint}"


def _names(node: DictConfig) -> list[str]:
    """Return the keys of a node; at the top, what a command may hold."""
    names = [str(key) for key in node]
    return names if _path(node) else [*(name for name in names if name != "hydra"), "experiment"]


def _path(node: DictConfig) -> str:
    return node._get_full_key(None)


def _wrong_kind(match: re.Match[str], cause: BaseException) -> str:
    kind = _KINDS.get(match["kind"], match["kind"])
    return f"{_given(match.string, cause)} is of the wrong kind: expected {kind}"


def _given(text: str, cause: BaseException) -> str:
    """Return what was given: the word of the command line, or the key and value of a YAML file."""
    if word := re.search(r"Error merging override (.+)", text):
        return word[1]
    value = re.search(r"Value '(.*?)'", text)
    return f"{getattr(cause, 'full_key', None) or 'a value'}{'=' + value[1] if value else ''}"


def _null(match: re.Match[str], cause: BaseException) -> str:
    return f"{_given(match.string, cause)} is not possible: it needs a value"


def _missing(_: re.Match[str], cause: BaseException) -> str:
    key = getattr(cause, "full_key", "a value")
    return f"{key} is missing: set it in the YAML of its group, or give {key}=VALUE"


def _dangling(match: re.Match[str], cause: BaseException) -> str:
    """Name what an interpolation asked for, and what there is instead."""
    wanted, asking = match["wanted"], getattr(cause, "full_key", None) or "a value"
    owner, _, name = wanted.rpartition(".")
    node = getattr(cause, "parent_node", None)
    found = OmegaConf.select(node._get_root(), owner) if node is not None and owner else None
    there = (
        f"{owner} has {suggest(name, found)}"
        if isinstance(found, DictConfig)
        else "`--cfg job` shows all there are"
    )
    return f"there is no {wanted}, from which {asking} takes its value: {there}"


def _unset(match: re.Match[str], cause: BaseException) -> str:
    return (
        f"{getattr(cause, 'full_key', 'a value')} needs environment variable {match['name']}: it is not set"
    )


def _unknown_resolver(match: re.Match[str], cause: BaseException) -> str:
    key = getattr(cause, "full_key", "a value")
    return f"{key} calls ${{{match['name']}:...}}, which does not exist: write ${{KEY}} or ${{oc.env:NAME}}"


def _circle(_: re.Match[str], cause: BaseException) -> str:
    return f"{getattr(cause, 'full_key', None) or 'a value'} refers to itself: give it a value of its own"


Sentence = Callable[[re.Match[str], BaseException], str]
_SENTENCES: tuple[tuple[str, Sentence], ...] = (
    (r"Could not override '(?P<key>[^']+)'", _unknown_key),
    (r"Key '(?P<key>[^']+)' not in", _unknown_key),
    (r"could not be converted to (?P<kind>\w+)", _wrong_kind),
    (r"is not a valid (?P<kind>\w+)", _wrong_kind),
    (r"Cannot (?:assign|convert) \S+ to (?P<kind>[^\n]+)", _wrong_kind),
    (r"\w+ is not a (?P<kind>ListConfig)", _wrong_kind),
    (r"is not Optional", _null),
    (r"missing mandatory value|Missing mandatory value", _missing),
    (r"Interpolation key '(?P<wanted>[^']+)' not found", _dangling),
    (r"Environment variable '(?P<name>[^']+)' not found", _unset),
    (r"Unsupported interpolation type (?P<name>\S+)", _unknown_resolver),
    (r"Recursive interpolation", _circle),
)
