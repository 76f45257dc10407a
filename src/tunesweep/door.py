"""Where Hydra's dictionary becomes a `RunConfig`, and where an error becomes one sentence."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from tunesweep.config import AppConfig, RunConfig
from tunesweep.errors import BadConfig, TunesweepError, suggest

EXPECTED = (TunesweepError, HydraException, OmegaConfBaseException)


def register() -> None:
    """Make the schema and the one resolver known to Hydra."""
    ConfigStore.instance().store(name="schema", node=AppConfig, provider="tunesweep")
    OmegaConf.register_new_resolver("double", lambda number: 2 * number, replace=True)


def conf_folder() -> Path:
    """Return the folder of the YAML files: inside an installed package, or at the top of a clone."""
    package = Path(__file__).parent
    inside = package / "conf"
    return inside if inside.is_dir() else package.parents[1] / "conf"


def to_run_config(cfg: DictConfig) -> RunConfig:
    """Return one point as dataclasses, validated, with the method's own budget where none was given."""
    names = [item.name for item in fields(RunConfig)]
    try:
        merged = OmegaConf.merge(OmegaConf.structured(RunConfig), OmegaConf.masked_copy(cfg, names))
        config = OmegaConf.to_object(merged)
    except OmegaConfBaseException as error:
        raise BadConfig(explain(error)) from error
    assert isinstance(config, RunConfig)
    return settle(config)


def settle(config: RunConfig) -> RunConfig:
    """Fill what is null in `train` from the method's own budget."""
    train, budget = config.train, config.method.budget
    config.runtime.point.lr_by_hand = config.runtime.point.lr_by_hand or train.lr is not None
    train.lr = budget.lr if train.lr is None else train.lr
    train.epochs = budget.epochs if train.epochs is None else train.epochs
    train.warmup = budget.warmup if train.warmup is None else train.warmup
    return config


def refers_to(cfg: DictConfig, group: str) -> bool:
    """Whether a method's YAML takes anything from a group: `${group...}` before it is resolved."""
    return "${" + group + "." in str(OmegaConf.to_container(cfg.method, resolve=False))


def explain(error: BaseException) -> str:
    """Return one sentence for an error of the configuration: value, expectation, remedy."""
    if isinstance(error, TunesweepError):
        return str(error)
    text = str(error) if str(error) else str(error.__cause__)
    for pattern, sentence in _SENTENCES:
        if match := re.search(pattern, text, re.DOTALL):
            return sentence(match, error.__cause__ or error)
    return _first_lines(error)


def _unknown_key(match: re.Match[str], _: BaseException) -> str:
    key = match["key"]
    owner, node = "", AppConfig
    for part in key.split("."):
        names = [item.name for item in fields(node)] if is_dataclass(node) else []
        if part not in names:
            break
        owner, node = f"{owner}{part}.", get_type_hints(node)[part]
    if not names:
        return f"{key} is not an option; `--cfg job` shows all there are"
    return f"{key} is not an option: {owner or 'the command '}takes {suggest(part, names)}"


def _unknown_choice(match: re.Match[str], _: BaseException) -> str:
    options = match["options"].split()
    return f"{match['group']}={match['name']} is not an option: choose {suggest(match['name'], options)}"


def _wrong_type(match: re.Match[str], cause: BaseException) -> str:
    key = getattr(cause, "full_key", None) or "a value"
    return f"{key}={match['value']} is of the wrong kind: expected {match['kind'].strip()}"


_SENTENCES: tuple[tuple[str, Any], ...] = (
    (r"Could not override '(?P<key>[^']+)'", _unknown_key),
    (
        r"Could not find '(?P<group>[^'/]+)/(?P<name>[^']+)'.*Available options in '[^']+':(?P<options>.*)",
        _unknown_choice,
    ),
    (r"Value '(?P<value>.*?)'.* could not be converted to (?P<kind>[^\n]+)", _wrong_type),
)


def _first_lines(error: BaseException) -> str:
    parts = [str(error).strip().split("\n")[0]]
    if error.__cause__ is not None:
        parts += [line.strip() for line in str(error.__cause__).strip().split("\n")[:2]]
    return ": ".join(part for part in parts if part)
