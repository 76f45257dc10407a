"""Predicted against measured peak memory on this CPU; writes docs/memory.md, exit 1 if a prediction is out.

Each configuration trains a few steps in a process of its own, forked once the libraries are loaded: what one
leaves in the allocator would hide what the next takes. A prediction is in when it is within 25 % or 100 MB of
the measured increase.

    python benchmarks/memory.py [FOLDER]

FOLDER keeps the records. What was measured there before is not measured again; predictions are made anew.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir

from tunesweep import door, identity, stages
from tunesweep.config import RunConfig
from tunesweep.hardware import cpu_name
from tunesweep.models import sources
from tunesweep.record import RunRecord, draft
from tunesweep.report.columns import size
from tunesweep.report.markdown import markdown_table
from tunesweep.silence import quiet_libraries
from tunesweep.store import Store

ROOT = Path(__file__).parents[1]
SHARE, BYTES, NEEDED, STEPS, TOKENS = 0.25, 100_000_000, 12, 2, 64
LIBRARIES = ("transformers", "peft", "bitsandbytes")  # before the processes part
CHECKPOINTS = "runtime.gradient_checkpointing=true"
MINILM = [
    *(f"method={method} train.batch_size={batch}" for method in ("full", "lora") for batch in (8, 32, 64)),
    *(f"method={method} train.batch_size=32 {CHECKPOINTS}" for method in ("full", "lora")),
    "method=qlora train.batch_size=32",
    f"method=qlora train.batch_size=32 {CHECKPOINTS}",
]
SMOLLM2 = [
    *(f"method=lora train.batch_size={batch}" for batch in (4, 8)),
    f"method=lora train.batch_size=8 {CHECKPOINTS}",
    "method=full train.batch_size=2",
    f"method=full train.batch_size=4 {CHECKPOINTS}",
    "method=qlora train.batch_size=4",
    "method=lora readout=generate train.batch_size=8",
]
POINTS = "runtime.gradient_checkpointing=true"
MINILM = [
    *(f"method={method} train.batch_size={batch}" for method in ("full", "lora") for batch in (8, 32, 64)),
    *(f"method={method} train.batch_size=32 {CHECKPOINTS}" for method in ("full", "lora")),
    "method=qlora train.batch_size=32",
    f"method=qlora train.batch_size=32 {CHECKPOINTS}",
]
SMOLLM2 = [
    *(f"method=lora train.batch_size={batch}" for batch in (4, 8, 16)),
    f"method=lora train.batch_size=16 {CHECKPOINTS}",
    "method=full train.batch_size=4",
    f"method=full train.batch_size=8 {CHECKPOINTS}",
    "method=qlora train.batch_size=8",
    f"method=qlora train.batch_size=16 {CHECKPOINTS}",
    "method=lora readout=generate train.batch_size=8",
]
FITTED = [f"model=minilm {words}" for words in MINILM] + [f"model=smollm2_135m {words}" for words in SMOLLM2]
FITTED += [
    "model=minilm method=dora lora.targets=all_linear train.batch_size=16",
    "model=smollm2_135m method=lora lora.targets=all_linear train.batch_size=8",
]
OTHERS = [  # no constant of the formula was chosen on these
    "model=minilm method=bitfit train.batch_size=32",
    "model=minilm method=lora train.batch_size=16 encoding.max_length=128",
    f"model=smollm2_135m method=lora train.batch_size=4 {CHECKPOINTS}",
    "model=minilm method=qlora lora.targets=all_linear train.batch_size=16",
    "model=minilm method=bottleneck train.batch_size=64",
    "model=smollm2_135m method=full train.batch_size=2",
]
POINTS = FITTED + OTHERS
PAGE = """# Predicted and measured memory

How far predictions of [a plan](planning.md) can be trusted, on a CPU: the increase of the resident set over
the loaded model while a few steps are trained, each row in a process of its own. In are {inside} of {all}
predictions: within 25 % or 100 MB of what was measured. The formula's constants for a CPU were chosen on the
rows called *fitted*. Made by `make bench-memory` (film reviews, cut at {tokens} tokens if nothing else is
said; {precision}, {steps} steps). Resident sets differ from one start to the next, by up to 30 MB here.

{table}

*{machine}; {threads} thread(s); torch {torch}, transformers {transformers}, peft {peft}; {date}.*
"""


def main(words: list[str]) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = words[0] if words else temporary
        for library in LIBRARIES:
            importlib.import_module(library)
        apart(convert, folder)
        for point in POINTS:
            work = one if record_of(folder, point) is None else predict
            print(f"{point}: {'done' if apart(work, folder, point) else 'FAILED'}", flush=True)
        records = {point: record_of(folder, point) for point in POINTS}
    found = {point: record for point, record in records.items() if record is not None}
    inside = [within(record) for record in found.values()]
    page = written(found, sum(inside))
    (ROOT / "docs" / "memory.md").write_text(page, encoding="utf-8")
    print(page)
    sys.exit(len(found) < len(POINTS) or not all(inside) or sum(inside) < NEEDED)


def apart(work: Callable[..., None], *arguments: str) -> bool:
    """Do something in a child process; return whether it ended well."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] == 0
    try:
        work(*arguments)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def convert(folder: str) -> None:
    """Have SmolLM2's weights ready: converting them takes memory too."""
    config = config_of(folder, ["model=smollm2_135m", "train.batch_size=1"])
    sources.weights_folder(config.model, Path(config.runtime.cache))


def config_of(folder: str, words: list[str]) -> RunConfig:
    door.register()
    rows = next(int(word.split("=")[1]) for word in words if word.startswith("train.batch_size=")) * STEPS
    limit = f"dataset.limit={{train: {rows}, select: 16, test: 8}}"
    place = [f"runtime.store={folder}", f"runtime.cache={folder}/cache", "runtime.progress=false"]
    own = [f"encoding.max_length={TOKENS}", "train.epochs=1", "runtime.eval_batch_size=16", limit, *place]
    with initialize_config_dir(str(door.conf_folder()), version_base="1.3"):
        cfg = compose("config", overrides=[*own, *words])
    cfg.runtime.point.uses_lora = door.takes_rank(cfg)
    config = door.to_run_config(cfg)
    identity.identify(config)
    return config


def name_of(config: RunConfig) -> str:
    """Return an id that also tells checkpointing apart, which is no part of a run's own."""
    return config.runtime.point.run_id + ("-checkpoints" if config.runtime.gradient_checkpointing else "")


def record_of(folder: str, point: str) -> RunRecord | None:
    return Store(folder).get(name_of(config_of(folder, point.split())))


def one(folder: str, point: str) -> None:
    """Train a few steps and keep what they took."""
    config = config_of(folder, point.split())
    config.runtime.point.run_id = name_of(config)
    record = draft(config)
    record.status = "stopped"
    with quiet_libraries(), stages.Workplace(config, Store(folder), record) as work:
        stages.prepare(work)
        stages.load_data(work)
        stages.load_network(work)
        stages.train(work)
    Store(folder).put(record)


def predict(folder: str, point: str) -> None:
    """Predict anew what has been measured."""
    config, record = config_of(folder, point.split()), record_of(folder, point)
    assert record is not None
    measured = dict(record.cost)
    with quiet_libraries(), stages.Workplace(config, Store(folder), record) as work:
        stages.prepare(work)
        stages.load_data(work)
    record.cost = measured | {"predicted": record.cost["predicted"]}
    Store(folder).put(record)


def within(record: RunRecord) -> bool:
    predicted, found = record.cost["predicted"]["memory_bytes"], record.cost["memory_bytes"]
    return abs(predicted - found) <= max(SHARE * found, BYTES)


def written(found: dict[str, RunRecord], inside: int) -> str:
    """Return the page."""
    header = (
        "model",
        "method",
        "batch",
        "checkpoints",
        "predicted",
        "measured",
        "apart",
        "in all, predicted",
    )
    header = (*header, "in all, measured", "", "fitted")
    table = markdown_table(header, [row(point, record) for point, record in found.items()], 2)
    some = next(iter(found.values()))
    versions = {key: some.provenance["versions"][key] for key in ("torch", "transformers", "peft")}
    return PAGE.format(
        inside=inside,
        all=len(found),
        tokens=TOKENS,
        precision=some.config["train"]["precision"],
        steps=STEPS,
        table=table,
        machine=cpu_name(),
        threads=some.provenance["threads"],
        date=datetime.now(UTC).date(),
        **versions,
    )


def _special(config: dict[str, Any]) -> list[str]:
    """Return in words in what else than its batch a row differs."""
    parts = {
        config["readout"]["name"]: config["readout"]["name"] != "head",
        config.get("lora", {}).get("targets"): config.get("lora", {}).get("targets") == "all_linear",
        f"{config['encoding']['max_length']} tokens": config["encoding"]["max_length"] != TOKENS,
    }
    return [str(name) for name, said in parts.items() if said]


def row(point: str, record: RunRecord) -> list[str]:
    cost, config = record.cost, record.config
    predicted, found = cost["predicted"]["memory_bytes"], cost["memory_bytes"]
    return [
        config["model"]["name"],
        ", ".join([config["method"]["name"], *_special(config)]),
        str(config["train"]["batch_size"]),
        "on" if record.runtime["gradient_checkpointing"] else "off",
        size(predicted),
        size(found),
        f"{100 * (predicted - found) / found:+.0f} %",
        size(cost["predicted"]["peak_memory_bytes"]),
        size(cost["peak_memory_bytes"]),
        "in" if within(record) else "OUT",
        "yes" if point in FITTED else "no",
    ]


if __name__ == "__main__":
    main(sys.argv[1:])
