"""A sweep that takes over the members of another one, frozen as they were: `runtime.extends=SWEEP`."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import fields
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from hydra_plugins.tunesweep._points import Words
from tunesweep import door
from tunesweep.care.extend import value_of
from tunesweep.config import RunConfig
from tunesweep.errors import BadConfig
from tunesweep.report.rows import find_sweep
from tunesweep.store import Store
from tunesweep.sweep.plan import name_points
from tunesweep.sweep.points import Planned

Points = list[tuple[Planned, DictConfig]]


def extended(points: Points) -> Points:
    """Return the members of the sweep that `runtime.extends` names, and those points that are none of them.

    A member keeps its frozen configuration, whatever the YAML files say now. One that is not finished is
    identified anew, as weights and data may have changed since.
    """
    former = points[0][0].config.runtime.extends
    if former is None:
        return points
    name_points([point for point, _ in points])
    store = Store(points[0][0].config.runtime.store)
    sweep_id, data = find_sweep(store, former)
    frozen = {run_id: _frozen(sweep_id, data, run_id) for run_id in data["members"]}
    members = [_member(store, run_id, config, points[0][1]) for run_id, config in frozen.items()]
    return members + [(p, cfg) for p, cfg in points if not _among(p.overrides, cfg, frozen)]


def _frozen(sweep_id: str, data: Mapping[str, Any], run_id: str) -> dict[str, Any]:
    config = data.get("points", {}).get(run_id, {}).get("config")
    if not isinstance(config, dict) or not {item.name for item in fields(RunConfig)} <= set(config):
        raise BadConfig(f"sweep {sweep_id} does not say what run {run_id} is: it cannot be extended")
    return config


def _among(words: Words, cfg: DictConfig, frozen: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether a member has all values that a point's command gives it."""
    keys = [
        key for key in (word.lstrip("+").split("=")[0] for word in words) if not key.startswith("runtime")
    ]
    mine = OmegaConf.to_container(
        OmegaConf.masked_copy(cfg, [f.name for f in fields(RunConfig)]), resolve=True
    )
    wanted = {key: value_of(mine, key) for key in keys}  # type: ignore[arg-type]
    return any(
        all(value_of(config, key) == value for key, value in wanted.items()) for config in frozen.values()
    )


def _member(
    store: Store, run_id: str, frozen: Mapping[str, Any], template: DictConfig
) -> tuple[Planned, DictConfig]:
    """Return a member as it was frozen, to be carried out where and how this command says."""
    runtime = OmegaConf.to_container(template.runtime)
    assert isinstance(runtime, dict)
    known = store.get(run_id)
    refused = known is not None and (known.failure or {}).get("class") == "integrity"
    again = known is not None and known.status == "stopped" and runtime["early_exit"] is None
    settled = known is not None and (refused or not (known.failed or again))
    told = dict(frozen["runtime"]["point"])
    point = runtime["point"] | {key: told[key] for key in ("name", "uses_lora", "lr_by_hand")}
    if settled:
        point |= {key: told[key] for key in ("run_id", "model_fingerprint", "data_fingerprint")}
    parts = {**frozen, "runtime": runtime | {"point": point}}
    if not told["lr_by_hand"]:
        parts["train"] = {
            **frozen["train"],
            "lr": None,
        }  # the method's own, which stands in the frozen method
    cfg = deepcopy(template)
    with open_dict(cfg):
        cfg = _with(cfg, parts)
    planned = Planned((f"runtime.point.run_id={run_id}",), door.to_run_config(cfg))
    return planned, cfg


def _with(template: DictConfig, parts: Mapping[str, Any]) -> DictConfig:
    """Return a config with these parts, and all else of the template: Hydra's own node, and the report."""
    cfg = OmegaConf.create(dict(parts))
    for key in template:
        if key not in parts:
            cfg[key] = template._get_node(key)
    return cfg
