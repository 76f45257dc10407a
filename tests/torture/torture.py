"""Kill a sweep with kill -9 again and again, and see whether it ends as an undisturbed one does.

    python tests/torture/torture.py --kills 30

A kill falls at a random moment upon the parent, a worker or both, or within a backward pass, or before or
after an atomic rename. After the last one the same command is left alone. Exit 1 when a record differs in
more than its times and sizes, when a run was trained to its end twice, or when a file is left over.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
KILLER = Path(__file__).parent / "killer"
BERT = ("hidden_size=32", "intermediate_size=64", "num_attention_heads=2", "num_hidden_layers=1")
WORDS = (
    *("model=random_bert", *(f"model.architecture.{word}" for word in BERT), "method=lora"),
    *("train.precision=fp32", "dataset=digits", "encoding=pixels_flat", "encoding.max_length=48"),
    *("dataset.limit.train=64", "dataset.limit.select=16", "dataset.limit.test=40", "train.batch_size=8"),
    *("train.epochs=3", "runtime.checkpoint_minutes=0", "runtime.wandb.mode=disabled", "runtime.threads=1"),
)
POINTS = {3: ("lora.r=1,2,4",), 12: ("lora.r=1,2,4,8", "seed=0,1,2")}
SAME = ("status", "metrics", "history", "parameters", "data", "encoding", "integrity", "artefacts", "failure")
MOMENTS = ("parent", "worker", "both", "backward", "before_rename", "after_rename")
PATIENCE_S = 60.0


@dataclass
class Outcome:
    """What was found."""

    kills: Counter[str] = field(default_factory=Counter)
    starts: int = 0
    resumed: int = 0  # runs that went on from a checkpoint
    seconds: float = 0.0
    undisturbed: float = 0.0
    problems: list[str] = field(default_factory=list)


class Torture:
    """One sweep in a store of its own, with someone who kills it."""

    def __init__(self, folder: Path, points: int, seed: int) -> None:
        self.folder, self.points, self.random = folder, points, random.Random(seed)
        self.order, self.journal = folder / "order", folder / "journal"
        self.outcome = Outcome()

    def run(self, kills: int) -> Outcome:
        """Return what became of the disturbed sweep beside the undisturbed one."""
        began = time.monotonic()
        self._finish(self.start("alone"))
        self.outcome.undisturbed = time.monotonic() - began
        self.journal.unlink(missing_ok=True)
        self.disturb(kills)
        self.outcome.seconds = time.monotonic() - began - self.outcome.undisturbed
        self.compare()
        return self.outcome

    def start(self, store: str) -> subprocess.Popen[str]:
        """Start the command; its words are the same every time."""
        self.outcome.starts += store == "killed"
        with (self.folder / f"{store}.log").open("a") as log:
            return subprocess.Popen(
                [
                    sys.executable,
                    str(ROOT / "train.py"),
                    "-m",
                    *WORDS,
                    *POINTS[self.points],
                    self._place(store),
                ],
                cwd=self.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "OMP_NUM_THREADS": "1", **self._killer()},
                start_new_session=True,
            )

    def _place(self, store: str) -> str:
        return f"runtime.store={self.folder / store}"

    def _killer(self) -> dict[str, str]:
        path = os.pathsep.join(filter(None, (str(KILLER), os.environ.get("PYTHONPATH"))))
        return {"PYTHONPATH": path, "TORTURE_ORDER": str(self.order), "TORTURE_JOURNAL": str(self.journal)}

    def _finish(self, process: subprocess.Popen[str]) -> None:
        if process.wait() != 0:
            log = max(self.folder.glob("*.log"), key=lambda path: path.stat().st_mtime)
            sys.exit(f"the sweep did not end well:\n{log.read_text()[-3000:]}")

    def disturb(self, kills: int) -> None:
        """Kill as often as is asked for, then let the same command come to its end."""
        process = self.start("killed")
        while self.outcome.kills.total() < kills:
            if process.poll() is not None:
                if self.done():
                    self.outcome.problems.append(f"it ended after {self.outcome.kills.total()} kills")
                    return
                process = self.start("killed")
            self.strike(process, self.random.choice(MOMENTS))
        if process.poll() is None:
            process.wait()
        self.order.unlink(missing_ok=True)
        self._finish(self.start("killed"))

    def done(self) -> bool:
        """Whether every run has succeeded."""
        records = read(self.folder / "killed")
        return len(records) == self.points and all(r["status"] == "succeeded" for r in records.values())

    def strike(self, process: subprocess.Popen[str], moment: str) -> None:
        """Let one kill fall; when its victim has come to its end before, nothing has happened."""
        if moment in ("parent", "worker", "both"):
            time.sleep(self.random.uniform(0.2, 12.0))
            struck = self._kill(process, moment)
        else:
            struck = self._ask(process, moment)
        self.outcome.kills[moment] += struck
        if process.poll() is not None:
            self._all_gone(process)

    def _kill(self, process: subprocess.Popen[str], who: str) -> bool:
        victims = [] if who == "worker" else [psutil.Process(process.pid)] if process.poll() is None else []
        workers = self._workers(process)
        victims += [] if who == "parent" else workers
        for victim in victims:
            try:
                victim.kill()
            except psutil.NoSuchProcess:
                return False
        if who != "worker" and victims:
            process.wait()
            psutil.wait_procs(workers, timeout=PATIENCE_S)
        return bool(victims)

    def _workers(self, process: subprocess.Popen[str]) -> list[psutil.Process]:
        try:
            children = psutil.Process(process.pid).children(recursive=True)
            return [child for child in children if "tunesweep.sweep.worker" in child.cmdline()]
        except psutil.NoSuchProcess:
            return []

    def _ask(self, process: subprocess.Popen[str], moment: str) -> bool:
        """Leave an order, and wait until it is taken."""
        who = "worker" if moment == "backward" else self.random.choice(("parent", "worker"))
        count = self.random.randint(1, 20 if moment == "backward" else 6)
        self.order.write_text(f"{who} {moment} {count}")
        began = time.monotonic()
        while self.order.exists() and process.poll() is None and time.monotonic() - began < PATIENCE_S:
            time.sleep(0.05)
        taken = not self.order.exists()
        self.order.unlink(missing_ok=True)
        if taken and who == "parent":
            process.wait()
        return taken

    def _all_gone(self, process: subprocess.Popen[str]) -> None:
        """Fail when a process of a killed sweep lives on."""
        began = time.monotonic()
        while left := alive(str(self.folder)):
            if time.monotonic() - began > PATIENCE_S:
                self.outcome.problems.append(f"{len(left)} processes live on after their sweep was killed")
                return
            time.sleep(0.1)

    def compare(self) -> None:
        """Note what differs from the undisturbed sweep."""
        alone, killed = self.folder / "alone", self.folder / "killed"
        expected, found = read(alone), read(killed)
        if set(expected) != set(found):
            self.outcome.problems.append(f"{len(expected)} runs alone, {len(found)} after kills")
        for run_id in set(expected) & set(found):
            unlike = [key for key in SAME if expected[run_id][key] != found[run_id][key]]
            if unlike:
                self.outcome.problems.append(f"run {run_id} differs in {', '.join(unlike)}")
        self.outcome.resumed = sum(bool(record.get("resumed")) for record in found.values())
        if stray := sorted(files(killed) ^ files(alone)):
            self.outcome.problems.append(f"files left over or missing: {', '.join(stray)}")
        ended = Counter(line.split()[0] for line in self._journal() if line.endswith("succeeded"))
        for run_id, count in ended.items():
            if count > 1:
                self.outcome.problems.append(f"run {run_id} was trained to its end {count} times")

    def _journal(self) -> list[str]:
        return self.journal.read_text().splitlines() if self.journal.exists() else []


def read(store: Path) -> dict[str, dict[str, object]]:
    """Return the records of a store by run id."""
    return {path.stem: json.loads(path.read_text()) for path in (store / "records").glob("*.json")}


def files(store: Path) -> set[str]:
    """Return the files below a store; locks are held by nobody, the cache belongs to no run."""
    found = {path.relative_to(store).as_posix() for path in store.rglob("*") if path.is_file()}
    return {name for name in found if not name.startswith(("cache/", "locks/"))}


def alive(mark: str) -> list[psutil.Process]:
    """Return the workers whose environment names a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if (
                mark in process.environ().get("TORTURE_ORDER", "")
                and process.status() != psutil.STATUS_ZOMBIE
            ):
                found.append(process)
        except psutil.Error:
            continue
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--points", type=int, choices=sorted(POINTS), default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--page", type=Path, help="write the figures into this page, between its marks")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcome = Torture(Path(folder), options.points, options.seed).run(options.kills)
    print(table(outcome, options.points, options.seed))
    if options.page:
        replace_between_marks(options.page, table(outcome, options.points, options.seed))
    sys.exit("\n".join(outcome.problems) or 0)


def table(outcome: Outcome, points: int, seed: int) -> str:
    """Return the figures as a table in Markdown."""
    kills = ", ".join(
        f"{count} {moment.replace('_', ' ')}" for moment, count in sorted(outcome.kills.items())
    )
    rows = (
        ("points", points),
        ("kills (seed)", f"{outcome.kills.total()} ({seed})"),
        ("of them", kills),
        ("starts of the command", outcome.starts),
        ("runs that went on from a checkpoint", outcome.resumed),
        ("wall clock undisturbed, killed", f"{outcome.undisturbed:.0f} s, {outcome.seconds:.0f} s"),
        ("differences, double runs, stray files", len(outcome.problems)),
    )
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def replace_between_marks(page: Path, text: str) -> None:
    """Put a text between `<!-- torture -->` and `<!-- /torture -->`."""
    before, rest = page.read_text().split("<!-- torture -->\n")
    after = rest.split("<!-- /torture -->")[1]
    page.write_text(f"{before}<!-- torture -->\n{text}\n<!-- /torture -->{after}")


if __name__ == "__main__":
    main()
