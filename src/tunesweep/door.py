"""Where Hydra's dictionary becomes a `RunConfig`, and where what nobody would read is refused."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from tunesweep.config import SPLITS, AppConfig, DatasetConfig, Point, RunConfig, RuntimeConfig
from tunesweep.config.search import NONE, SEARCHES, SearchConfig
from tunesweep.data.location import data_folder
from tunesweep.errors import BadConfig, require, suggest
from tunesweep.explain import explain
from tunesweep.hardware import native_precision
from tunesweep.record import RunRecord


def register() -> None:
    """Make the schema and the two resolvers known to Hydra."""
    ConfigStore.instance().store(name="schema", node=AppConfig, provider="tunesweep")
    OmegaConf.register_new_resolver("double", lambda number: 2 * number, replace=True)
    OmegaConf.register_new_resolver("data_folder", data_folder, replace=True)


def conf_folder() -> Path:
    """Return the folder of the YAML files: inside an installed package, or at the top of a clone."""
    package = Path(__file__).parent
    inside = package / "conf"
    return inside if inside.is_dir() else package.parents[1] / "conf"


def check_words(words: Iterable[str]) -> None:
    """Refuse overrides that Hydra stumbles over without naming them: no key, or a number for a group."""
    for override in OverridesParser.create().parse_overrides(list(words)):
        if not override.key_or_group:
            raise BadConfig(f"{override.input_line} names no option: write KEY=VALUE")
        folder = conf_folder() / override.key_or_group
        for value in _values(override) if folder.is_dir() else ():
            if isinstance(value, int | float | dict):
                names = sorted(path.stem for path in folder.glob("*.yaml"))
                raise BadConfig(
                    f"{override.key_or_group}={value} is not an option: choose {suggest(value, names)}"
                )


def _values(override: Override) -> Iterator[Any]:
    value = override.value()
    yield from value.list if isinstance(value, ChoiceSweep) else [value]


def to_run_config(cfg: DictConfig) -> RunConfig:
    """Return one point as dataclasses, validated, with the published budget where none was given."""
    names = [item.name for item in fields(RunConfig)]
    _refuse_unread("", cfg, [*(item.name for item in fields(AppConfig)), "hydra"])
    try:
        config = _typed(cfg, names)
    except OmegaConfBaseException as error:
        raise BadConfig(explain(error)) from error
    _refuse_added("", config)
    return settle(config)


def to_search(cfg: DictConfig) -> SearchConfig | None:
    """Return how a command searches, validated; nothing where it carries out every point."""
    name = cfg.search.get("name", NONE)
    require(name, (NONE, *SEARCHES), "search.name")
    if name == NONE:
        return None
    _refuse_in_search(name, cfg)
    schema = OmegaConf.create({"search": OmegaConf.structured(SEARCHES[name])})
    try:
        found = OmegaConf.to_object(OmegaConf.merge(schema, OmegaConf.masked_copy(cfg, ["search"])).search)
    except OmegaConfBaseException as error:
        raise BadConfig(explain(error)) from error
    assert isinstance(found, SearchConfig)
    return found


def _refuse_in_search(name: str, cfg: DictConfig) -> None:
    """Refuse what is for sweeps alone."""
    together = {"early_exit": None, "fuse": "never"}
    for key, alone in together.items():
        if cfg.runtime.get(key) not in (alone, None):
            raise BadConfig(
                f"runtime.{key}={cfg.runtime[key]} is for groups, and search={name} trains each "
                "of its trials alone: leave it out"
            )
    if cfg.runtime.get("extends") is not None:
        raise BadConfig(
            f"runtime.extends={cfg.runtime.extends} adds values to a sweep, and search={name} chooses its "
            "own: give the search a larger budget instead"
        )


def _plain(value: Any) -> Any:
    return OmegaConf.to_object(value) if OmegaConf.is_config(value) else value


def _typed(cfg: DictConfig, names: list[str]) -> RunConfig:
    """Return the dataclasses; what Hydra composed is typed already, and merging it again takes long."""
    if OmegaConf.get_type(cfg) is AppConfig:
        parts: dict[str, Any] = {name: _plain(cfg[name]) for name in names}
        return RunConfig(**parts)
    merged = OmegaConf.merge(OmegaConf.structured(RunConfig), OmegaConf.masked_copy(cfg, names))
    config = OmegaConf.to_object(merged)
    assert isinstance(config, RunConfig)
    return config


def enter(folder: str) -> None:
    """Go to where the command was given, which its paths are relative to; a job may begin elsewhere."""
    if not folder or Path(folder) == Path.cwd():
        return
    try:
        os.chdir(folder)
    except OSError as error:
        raise BadConfig(
            f"{folder}, where the command was given, cannot be entered on this machine ({error.strerror}): "
            "give the command in a folder that all machines share"
        ) from None


def of_record(record: RunRecord, runtime: RuntimeConfig) -> RunConfig:
    """Return the point that a record is of, to be carried out here: records hold all but `runtime`."""
    point = Point(
        run_id=record.run_id,
        model_fingerprint=str(record.provenance.get("model_fingerprint", "")),
        data_fingerprint=str(record.data.get("fingerprint", "")),
        uses_lora="lora" in record.config,
    )
    lora = {"r": 1, "alpha": 1, "target_modules": []}  # the group is left out where the method ignores it
    parts = {"lora": lora, **record.config, "runtime": asdict(replace(runtime, point=point))}
    return to_run_config(OmegaConf.create(parts))


def _refuse_added(path: str, node: Any) -> None:
    """Refuse what `+train.foo=3` puts beside the fields of a dataclass: nobody would read it."""
    _refuse_unread(path, vars(node), [item.name for item in fields(node)])
    for key, value in vars(node).items():
        if is_dataclass(value):
            _refuse_added(f"{path}{key}.", value)


def _refuse_unread(path: str, found: Iterable[Any], known: list[str]) -> None:
    for key in found:
        if key not in known:
            owner = path.removesuffix(".") or "the command"
            raise BadConfig(f"{path}{key} is not an option: {owner} takes {suggest(key, known)}")


def settle(config: RunConfig) -> RunConfig:
    """Fill what is null in `train` from the budget of the method, or of a model that begins at random."""
    config.dataset = localised(config.dataset)
    at_random = config.model.budget if config.model.init_from is None else None
    train, budget = config.train, at_random or config.method.budget
    config.runtime.point.lr_by_hand = config.runtime.point.lr_by_hand or train.lr is not None
    if train.precision == "auto":
        train.precision = native_precision(config.runtime.device)
    train.lr = budget.lr if train.lr is None else train.lr
    train.epochs = budget.epochs if train.epochs is None else train.epochs
    train.warmup = budget.warmup if train.warmup is None else train.warmup
    return config


def localised(dataset: DatasetConfig) -> DatasetConfig:
    """Return the data set as its local copies are, where `dataset.path` names their folder.

    A file that was given by hand comes before a local copy.
    """
    by_hand = [place for place in (getattr(dataset, split) for split in SPLITS) if place]
    if dataset.path is None or (dataset.files and not all(place.startswith("hub:") for place in by_hand)):
        return dataset
    folder = Path(dataset.path)
    places = {split: str(folder / name) for split, name in dataset.files.items()}
    if not places:
        raise BadConfig(
            f"dataset={dataset.name} has no local form: give dataset.train=PATH, not dataset.path"
        )
    try:
        return replace(dataset, **(dict.fromkeys(SPLITS) | dataset.local | places))  # type: ignore[arg-type]
    except TypeError as error:
        raise BadConfig(f"dataset.local={dataset.local}: {error}") from None


def check_method_name(cfg: DictConfig) -> None:
    """Refuse a copied YAML that still says the name of the original, whose rows it would be taken for."""
    chosen = cfg.hydra.runtime.choices["method"]
    if cfg.method.get("name") != chosen:
        raise BadConfig(f"method/{chosen}.yaml says name: {cfg.method.get('name')}; write name: {chosen}")


def takes_rank(cfg: DictConfig) -> bool:
    """Whether a method's YAML, before it is resolved, takes `${lora.r}` or `${lora.alpha}`."""
    method = str(OmegaConf.to_container(cfg.method, resolve=False))
    return "${lora.r}" in method or "${lora.alpha}" in method
