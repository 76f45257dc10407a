"""How long the command line takes to start: medians of seven runs, exit 1 above a limit."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from hydra import compose, initialize_config_dir
from results import keep

from tunesweep import door, identity
from tunesweep.record import draft
from tunesweep.store import Store

ROOT = Path(__file__).parents[1]
RUNS = 7
MANY = ["-m", "method=lora,qlora", f"lora.r={','.join(map(str, range(1, 51)))}"]
MAIN_SWEEP = [f"method={method} lora.r={r}".split() for method in ("lora", "qlora") for r in (4, 8, 16)]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = [f"runtime.store={folder}", "runtime.wandb.mode=disabled"]
        pretend_finished(place)
        sweep = ["-m", "method=lora,qlora", "lora.r=4,8,16", *place]
        cases = (
            ("python train.py --help", ["train.py", "--help"], 1.0),
            ("python train.py --cfg job", ["train.py", "--cfg", "job"], 0.8),
            ("the main sweep, all finished", ["train.py", *sweep], 10.0),
            ("a plan of 100 points", ["train.py", *MANY, "plan=true", *place], 3.0),
        )
        found = [row(name, timed(words), limit) for name, words, limit in cases]
    keep("start", {"rows": found})
    sys.exit(any(each["seconds"] > each["limit"] for each in found))


def pretend_finished(place: list[str]) -> None:
    """Put a record of every point of the main sweep into a store: only planning and the table are timed."""
    door.register()
    for words in MAIN_SWEEP:
        with initialize_config_dir(str(door.conf_folder()), version_base="1.3"):
            cfg = compose("config", overrides=[*words, *place])
        cfg.runtime.point.uses_lora = door.takes_rank(cfg)
        config = door.to_run_config(cfg)
        identity.identify(config)
        record = draft(config)
        record.status = "succeeded"
        Store(config.runtime.store).put(record)


def timed(words: list[str]) -> list[float]:
    once(words)  # the first start compiles Python files and fills the disk cache
    return [once(words) for _ in range(RUNS)]


def once(words: list[str]) -> float:
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    command = [sys.executable, *words]
    began = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode or not done.stdout or _trained(words, done.stderr):
        sys.exit(f"{' '.join(words)} failed, or trained something:\n{done.stdout}{done.stderr}")
    return seconds


def _trained(words: list[str], said: str) -> bool:
    return "-m" in words and "plan=true" not in words and " 0 to do" not in said


def row(name: str, seconds: list[float], limit: float) -> dict[str, Any]:
    """Return the median of one case, in seconds, and its limit."""
    spread = [round(min(seconds), 2), round(max(seconds), 2)]
    return {"case": name, "seconds": round(median(seconds), 2), "from_to": spread, "limit": limit}


if __name__ == "__main__":
    main()
