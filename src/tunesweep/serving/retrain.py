"""A finished run trained again in a process of its own: what that process does."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunesweep import door, identity
from tunesweep.config import RunConfig, RuntimeConfig, WandbConfig
from tunesweep.errors import BadConfig, TunesweepError
from tunesweep.record import RunRecord
from tunesweep.store import Store

SAID = "said.json"  # in the temporary store: why nothing was trained, if so


@dataclass(frozen=True)
class Job:
    """What the process needs to know; paths are absolute."""

    run_id: str
    store: str  # of the run; only read
    beside: str  # the temporary store
    cache: str
    device: str


def main() -> None:
    """Carry out the job on the command line; a refusal is left as a sentence in the temporary store."""
    job = Job(**json.loads(sys.argv[1]))
    try:
        _train(job)
    except TunesweepError as error:
        (Path(job.beside) / SAID).write_text(json.dumps(str(error)), encoding="utf-8")
        sys.exit(1)


def _train(job: Job) -> None:
    store, beside = Store(job.store), Store(job.beside)
    record = store.get(job.run_id)
    assert record is not None  # the parent has read it
    config = door.of_record(record, _runtime(record, job))
    check_inputs(config, record)
    _lend_sources(config, store, beside)
    from tunesweep.point import run

    run(config)


def _runtime(record: RunRecord, job: Job) -> RuntimeConfig:
    """Return how the run was carried out: the same batches, threads and processes, so the same rounding."""
    told, cost, threads = record.runtime, record.cost, record.provenance.get("threads")
    known: dict[str, Any] = {
        key: told[key]
        for key in (
            "strategy",
            "devices",
            "gradient_checkpointing",
            "packing",
            "compile",
            "attention",
            "kernels",
        )
        if key in told
    }
    if job.device == "cpu":
        known.pop("kernels", None)  # of a GPU
    return RuntimeConfig(
        store=job.beside,
        cache=job.cache,
        device=job.device,
        threads=threads if isinstance(threads, int) else None,
        micro_batch=cost.get("micro_batch") or told.get("micro_batch"),
        eval_batch_size=cost.get("eval_batch")
        or told.get("eval_batch_size")
        or RuntimeConfig.eval_batch_size,
        keep="metrics",
        wandb=WandbConfig(mode="disabled"),
        **known,
    )


def check_inputs(config: RunConfig, record: RunRecord) -> None:
    """Plan the run anew, and refuse one whose weights, data, libraries or recipe are no longer the same."""
    recorded = config.runtime.point
    config.runtime.point = replace(recorded, run_id="", model_fingerprint="", data_fingerprint="")
    identity.identify(config)
    now = config.runtime.point
    if now.run_id != record.run_id:
        changes = _changes(config, record)
        raise BadConfig(
            f"the inputs of run {record.run_id} have changed ({', '.join(changes)}): put the former ones "
            "back, or take its command for a new run"
        )
    now.name, now.uses_lora = record.name, recorded.uses_lora


def _changes(config: RunConfig, record: RunRecord) -> list[str]:
    """Name what makes another run of it."""
    point, versions = config.runtime.point, record.provenance.get("versions") or {}
    found = []
    if point.model_fingerprint != record.provenance.get("model_fingerprint"):
        found.append(f"the weights or tokenizer of model={config.model.name}, {config.model.source}")
    if point.data_fingerprint != record.data.get("fingerprint"):
        found.append(f"the files of dataset={config.dataset.name}, {config.dataset.train}")
    for name in identity.LIBRARIES:
        then, now = versions.get(name), identity.version(name)
        if then and then.split(".")[:2] != now.split(".")[:2]:
            found.append(f"{name} {then}, now {now}")
    return found or ["the recipe of training, which is that of another tunesweep"]


def _lend_sources(config: RunConfig, store: Store, beside: Store) -> None:
    """Let the temporary store know the runs that this one starts from; weights are linked, not copied."""
    if config.model.init_from is None:
        return
    from tunesweep.models import start

    for source in start.ancestors(config, store):
        run_id = source.runtime.point.run_id
        beside.put(start.finished(run_id, store))
        link = beside.path("adapters", run_id)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(store.path("adapters", run_id).resolve(), target_is_directory=True)


if __name__ == "__main__":
    main()
