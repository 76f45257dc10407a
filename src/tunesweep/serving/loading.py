"""From a store and a run's id to its configuration and its network, as it was when it was scored."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tunesweep import door
from tunesweep.config import RunConfig, RuntimeConfig, WandbConfig
from tunesweep.errors import BadConfig, StorageError, suggest_run
from tunesweep.record import RunRecord
from tunesweep.store import NAME, Store

if TYPE_CHECKING:
    from tunesweep.data.module import DataModule
    from tunesweep.models.readouts import Readout


def finished(store: Store, run_id: str) -> RunRecord:
    """Return the record of a run that has succeeded, or say which there are."""
    record = store.get(run_id) if NAME.fullmatch(run_id) else None
    if record is not None and record.succeeded:
        return record
    state = record.shortfall if record else f"has no readable record in {store.root}"
    others = [other.run_id for other in store.records() if other.succeeded]
    raise BadConfig(f"run {run_id} {state}: {suggest_run(run_id, others)}")


def config_of(store: Store, record: RunRecord, device: str = "auto") -> RunConfig:
    """Return the point of a record, to be carried out here as it was there: same batches, same threads."""
    told, threads = record.runtime, record.provenance.get("threads")
    runtime = RuntimeConfig(
        store=str(store.root),
        cache=os.environ.get("TUNESWEEP_CACHE") or str(store.root / "cache"),
        device=device,
        threads=threads if isinstance(threads, int) else None,
        eval_batch_size=int(told.get("eval_batch_size") or RuntimeConfig.eval_batch_size),
        packing=bool(told.get("packing")),
        attention=str(told.get("attention") or "auto"),
        progress=False,
        wandb=WandbConfig(mode="disabled"),
    )
    config = door.of_record(record, runtime)
    return replace(config, train=replace(config.train, class_weights=None))  # of the loss alone, from train


def artefact_folder(store: Store, record: RunRecord) -> Path | None:
    """Return where a run's weights lie, unchanged; None for a method that trains none."""
    from tunesweep.models.start import kept
    from tunesweep.verify import problems

    if not record.config["method"].get("trained", True):
        return None
    if not kept(store, record):
        wanted = "all" if record.config["method"].get("trains") == ".*" else "adapter"
        raise BadConfig(
            f"run {record.run_id} kept no weights: the same command with runtime.keep={wanted} "
            "runtime.force=true trains it again and keeps them"
        )
    folder = store.path("adapters", record.run_id)
    for problem in problems(store, record, below=store.relative(folder)):
        raise StorageError(problem)
    return folder


def network(config: RunConfig, data: DataModule, store: Store, folder: Path | None) -> Readout:
    """Return a fresh base with the trained weights of a folder on it, ready to be asked."""
    from pytorch_lightning import seed_everything

    from tunesweep.device import choose_device
    from tunesweep.methods import artefact
    from tunesweep.models.backbone import build_network
    from tunesweep.models.start import start_from

    device = choose_device(config.runtime)
    # Another seed than in training: whatever the folder lacks would show.
    seed_everything(config.seeds.init + 1, verbose=False)
    found = build_network(config, data, device)
    if config.model.init_from:
        start_from(found, config, store)
    if folder is not None:
        artefact.load(found, config, folder)
    return found.to(device).eval()


def exported(config: RunConfig, data: DataModule, store: Store, folder: Path) -> Readout:
    """Return the network of an exported whole model, the point being `from_folder`'s."""
    from safetensors.torch import load_file

    from tunesweep.methods.artefact import HEAD

    found = network(config, data, store, None)
    if found.head is not None:
        found.head.load_state_dict(load_file(str(folder / HEAD)))
    return found


def unquantised(config: RunConfig) -> RunConfig:
    """Return a point whose base is held in the model's own full precision, which adapters are merged into."""
    return replace(config, method=replace(config.method, quantisation=None))


def from_folder(config: RunConfig, folder: Path) -> RunConfig:
    """Return a point whose weights are an exported whole model's."""
    own = {"source": str(folder), "revision": None, "file": None, "tokenizer": None, "init_from": None}
    model = replace(config.model, **own, dtype="bfloat16", architecture={})  # type: ignore[arg-type]
    point = replace(config.runtime.point, model_fingerprint="")  # of the base
    runtime = replace(config.runtime, point=point)
    return unquantised(replace(config, model=model, runtime=runtime))


def labels(record: RunRecord) -> Sequence[str]:
    """Return the classes of a run, in their order; none of a task without them."""
    return list(record.data.get("labels") or ())
