"""How long a table of ten thousand records takes, and how much memory: medians, exit 1 above a limit.

The records are made, not run: the main sweep's configuration under 2,000 ranks and rates with five seeds
each, as large as real ones. They are read from disk by a fresh process, which must not load torch.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from itertools import product
from statistics import median
from typing import Any

from hydra import compose, initialize_config_dir
from results import keep

from tunesweep import door
from tunesweep.record import RunRecord, draft
from tunesweep.store import Store

RUNS = 5
RANKS, RATES, SEEDS = range(1, 41), range(1, 51), range(5)
SECONDS, BYTES = 3.0, 500e6
BUILD = """
import json, resource, sys, time
began = time.perf_counter()
from tunesweep.report import render
from tunesweep.report.rows import Scope
from tunesweep.store import Store
table = render.build(Store(sys.argv[1]), Scope(all=True))
seconds = time.perf_counter() - began
held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
found = {"seconds": seconds, "bytes": held, "torch": "torch" in sys.modules}
print(json.dumps(found | {"runs": sum(len(block.runs) for block in table.blocks)}))
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        fill(Store(folder))
        found = [built(folder) for _ in range(RUNS)]
    assert all(each["runs"] == 10_000 and not each["torch"] for each in found), found
    seconds, held = (median(each[key] for each in found) for key in ("seconds", "bytes"))
    limits = {"limit_seconds": SECONDS, "limit_bytes": BYTES}
    keep("tables", {"records": 10_000, "seconds": round(seconds, 2), "bytes": held, **limits})
    sys.exit(seconds > SECONDS or held > BYTES)


def fill(store: Store) -> None:
    """Write the records."""
    pattern = pretended()
    folder = store.root / "records"
    folder.mkdir(parents=True)
    for number, (r, rate, seed) in enumerate(product(RANKS, RATES, SEEDS)):
        pattern["run_id"] = f"{number:016x}"
        config = pattern["config"]
        config["lora"] |= {"r": r, "alpha": 2 * r}
        config["train"]["lr"] = rate * 1e-4
        config["seed"] = config["seeds"]["init"] = config["seeds"]["data"] = seed
        pattern["metrics"]["test"]["accuracy"] = 0.5 + number % 400 / 1000
        (folder / f"{number:016x}.json").write_text(json.dumps(pattern, indent=1, sort_keys=True))


def pretended() -> dict[str, Any]:
    """Return a record of the main sweep's first point, with numbers of no run in all its parts."""
    door.register()
    with initialize_config_dir(str(door.conf_folder()), version_base="1.3"):
        cfg = compose("config", overrides=["method=lora"])
    cfg.runtime.point.uses_lora = True
    record = draft(door.to_run_config(cfg))
    scores = {"accuracy": 0.7, "macro_f1": 0.7, "n": 1000, "log_loss": 0.5, "interval": [0.67, 0.73]}
    classes = {name: {"precision": 0.7, "recall": 0.7, "f1-score": 0.7, "support": 500} for name in "ab"}
    record.status = "succeeded"
    record.metrics = {split: scores | {"per_class": classes} for split in ("test", "select", "before")}
    record.metrics["protocol"] = {"metric": "accuracy", "split": "test", "chosen_on": "select"}
    record.history = [{"epoch": epoch, "loss": 0.5, "train_loss": 0.6, "lr": 1e-3} for epoch in range(10)]
    record.data = {"fingerprint": "0" * 64, "scored_ids": "0" * 64, "labels": ["fresh", "rotten"]}
    record.cost = {
        "minutes": 1.0,
        "minutes_per_epoch": 0.5,
        "memory_bytes": 400_000_000,
        "memory_how": "none",
    }
    record.provenance = {"versions": {f"package-{place}": "1.2.3" for place in range(12)}, "device": "none"}
    record.integrity = {f"check_{place}": {"change": 0.0, "limit": 1e-4} for place in range(40)}
    return RunRecord.from_json(record.to_json()).__dict__


def built(folder: str) -> dict[str, Any]:
    """Build the table in a fresh process; return its seconds and bytes."""
    done = subprocess.run([sys.executable, "-c", BUILD, folder], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


if __name__ == "__main__":
    main()
