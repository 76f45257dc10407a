"""N tasks on one machine: N whole models, or one base with N adapters; measured, and as a table."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesweep.config import RunConfig
from tunesweep.errors import BadConfig, TunesweepError
from tunesweep.record import RunRecord
from tunesweep.report.rows import find_sweep
from tunesweep.serving import loading
from tunesweep.store import Store, write

if TYPE_CHECKING:
    from rich.table import Table

TEXT = "A short text that every model answers once."
COPIES, ADAPTERS = "N whole models", "one base and N adapters"


@dataclass(frozen=True)
class Way:
    """One way of serving the same runs."""

    name: str
    disk_bytes: int
    memory_bytes: int
    swap_s: float
    swap: str  # what a change of task is


@dataclass(frozen=True)
class Comparison:
    """Both ways, and what they were measured on."""

    runs: list[str]
    base: str
    dtype: str
    device: str
    ways: list[Way]
    largest_difference: float  # between what both ways answer to one text

    def as_json(self) -> str:
        """Return everything as JSON."""
        return json.dumps(asdict(self), indent=1)


def compare(store: Store, run_ids: Sequence[str] = (), device: str = "auto") -> Comparison:
    """Measure runs of PEFT methods on one base: the given ones, or those of the last sweep that can."""
    from tunesweep.device import choose_device
    from tunesweep.provenance import device_name
    from tunesweep.silence import quiet_libraries

    records = _records(store, run_ids)
    configs = [loading.config_of(store, record, device) for record in records]
    _check_one_base(records, configs)
    chosen = choose_device(configs[0].runtime)
    with tempfile.TemporaryDirectory(prefix="tunesweep-serving-") as folder, quiet_libraries():
        copies, base = _whole_models(store, records, configs, Path(folder))
        adapters = [store.path("adapters", record.run_id) for record in records]
        plans = _plans(configs[0], copies, adapters, base, chosen.type)
        whole, parts = (_measured(plan) for plan in plans)
        disk = [_size(copies), _size([base, *adapters])]
    ways = [
        Way(COPIES, disk[0], whole["bytes"], whole["swap_s"], "another model is loaded from disk"),
        Way(ADAPTERS, disk[1], parts["bytes"], parts["swap_s"], "another adapter is made the active one"),
    ]
    difference = _difference(whole["answers"], parts["answers"])
    name, dtype = f"{configs[0].model.name} ({configs[0].readout.name})", plans[0]["dtype"]
    return Comparison([r.run_id for r in records], name, dtype, device_name(chosen), ways, difference)


def _records(store: Store, run_ids: Sequence[str]) -> list[RunRecord]:
    if run_ids:
        return [loading.finished(store, run_id) for run_id in run_ids]
    found = [store.get(run_id) for run_id in find_sweep(store)[1]["members"]]
    return [record for record in found if record and record.succeeded and _mergeable(record)]


def _mergeable(record: RunRecord) -> bool:
    method = record.config["method"]
    return method.get("peft") is not None and bool(method.get("merges"))


def _check_one_base(records: list[RunRecord], configs: list[RunConfig]) -> None:
    for record in records:
        if not _mergeable(record):
            raise BadConfig(
                f"run {record.run_id} (method={record.config['method']['name']}) is no adapter that becomes "
                "part of its base: give runs of methods that merge, such as method=lora"
            )
    if len(records) < 2:
        raise BadConfig(f"{len(records)} runs make no comparison: give two or more adapters of one base")
    bases = {(c.runtime.point.model_fingerprint, c.model.init_from, c.readout.name) for c in configs}
    if len(bases) > 1:
        names = ", ".join(sorted({f"{c.model.name} ({c.readout.name})" for c in configs}))
        raise BadConfig(f"the runs do not share one base and readout ({names}): give runs of one base")


def _whole_models(
    store: Store, records: list[RunRecord], configs: list[RunConfig], folder: Path
) -> tuple[list[Path], Path]:
    """Write every run's whole model, and the base, in one and the same precision: that of the base."""
    from tunesweep.methods.merging import absorb
    from tunesweep.serving.examples import without_rows

    copies = []
    for record, config in zip(records, configs, strict=True):
        plain = loading.unquantised(config)
        data, source = without_rows(plain, loading.labels(record)), loading.artefact_folder(store, record)
        network = loading.network(plain, data, store, source)
        copies.append(folder / record.run_id)
        absorb(network)
        network.body.save_pretrained(str(copies[-1]))  # type: ignore[operator]
    bare = loading.network(plain, data, store, None)
    bare.body.save_pretrained(str(folder / "base"))  # type: ignore[operator]
    return copies, folder / "base"


def _plans(
    config: RunConfig, copies: list[Path], adapters: list[Path], base: Path, device: str
) -> list[dict[str, Any]]:
    from tunesweep.models.backbone import auto_class, base_dtype
    from tunesweep.models.tokenizer import load_tokenizer

    tokenizer = load_tokenizer(config.model, Path(config.runtime.cache))
    shared = {
        "auto": auto_class(config),
        "heads": list(config.model.head) if config.readout.name == "head" else [],
        "dtype": str(base_dtype(config)).removeprefix("torch."),
        "device": device,
        "ids": tokenizer(TEXT)["input_ids"],
    }
    return [
        {"way": "copies", "folders": list(map(str, copies)), **shared},
        {"way": "adapters", "folders": list(map(str, adapters)), "base": str(base), **shared},
    ]


def _measured(plan: dict[str, Any]) -> dict[str, Any]:
    command = [sys.executable, "-m", "tunesweep.serving.measure", json.dumps(plan)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise TunesweepError(f"the {plan['way']} could not be measured: {reason}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _size(folders: Sequence[Path]) -> int:
    return sum(f.stat().st_size for folder in folders for f in folder.rglob("*") if f.is_file())


def _difference(one: list[list[float]], other: list[list[float]]) -> float:
    pairs = (zip(a, b, strict=True) for a, b in zip(one, other, strict=True))
    return max(abs(a - b) for pair in pairs for a, b in pair)


def as_table(found: Comparison) -> Table:
    """Return the table for a terminal."""
    from rich import box
    from rich.table import Table

    table = Table(title=_title(found), box=box.SIMPLE_HEAD, caption=_note(found))
    for name in ("way", "on disk", "in memory", "change of task", ""):
        table.add_column(name, justify="left" if name in ("way", "") else "right")
    for way in found.ways:
        table.add_row(*_row(way))
    return table


def save(found: Comparison, store: Store) -> Path:
    """Write the table as Markdown into the store's reports."""
    from tunesweep.identity import sweep_id

    path = store.path("reports", f"serving-{sweep_id(found.runs)}").with_suffix(".md")
    head = "| way | on disk | in memory | change of task | |\n|---|---:|---:|---:|---|"
    rows = "\n".join(f"| {' | '.join(_row(way))} |" for way in found.ways)
    write(path, f"# {_title(found)}\n\n{head}\n{rows}\n\n{_note(found)}\n")
    return path


def _title(found: Comparison) -> str:
    return f"Serving {len(found.runs)} tasks of {found.base}, {found.dtype}"


def _row(way: Way) -> list[str]:
    swap = f"{way.swap_s * 1000:.3g} ms"
    return [way.name, _megabytes(way.disk_bytes), _megabytes(way.memory_bytes), swap, way.swap]


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"


def _note(found: Comparison) -> str:
    return (
        f"Measured on {found.device}: memory is what a process holds more after loading, one answer each "
        "and a reading of all weights; a change of task is the median of several, with files in the "
        "operating system's cache. Both ways answer one text alike to "
        f"{found.largest_difference:.1g}. Runs: {', '.join(found.runs)}."
    )
