"""Kill a sweep with kill -9 again and again, and see whether it ends as an undisturbed one does.

    python tests/torture/torture.py --kills 30

A kill falls at a random moment upon the parent, a worker or both, or within a backward pass, or before or
after an atomic rename. After the last one the same command is left alone; a sweep that comes to its end
before is followed by another one. Exit 1 when a record differs in more than its times and sizes, when a run
was trained to its end twice, when a process lives on, or when a file is left over.
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
    *("dataset.limit.train=160", "dataset.limit.select=16", "dataset.limit.test=40", "train.batch_size=8"),
    *("train.epochs=3", "runtime.checkpoint_minutes=0", "runtime.wandb.mode=disabled", "runtime.threads=1"),
)
POINTS = {3: ("lora.r=1,2,4",), 12: ("lora.r=1,2,4,8", "seed=0,1,2")}
SAME = ("status", "metrics", "history", "parameters", "data", "encoding", "integrity", "artefacts", "failure")
BY_HAND = ("parent", "worker", "both")  # at any time
ASKED = ("backward", "before_rename", "after_rename")  # by the process itself
AT_START = 0.3  # share of the starts at which the parent is to die by itself
PATIENCE_S = 60.0
ALONE = "alone"


@dataclass
class Outcome:
    """What was found."""

    kills: Counter[str] = field(default_factory=Counter)
    starts: int = 0
    sweeps: int = 0  # that were killed again and again, and then completed
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
        """Return what became of disturbed sweeps beside the undisturbed one."""
        began = time.monotonic()
        self._finish(self.start(ALONE), ALONE)
        self.outcome.undisturbed = time.monotonic() - began
        while self.outcome.kills.total() < kills and not self.outcome.problems:
            self.outcome.sweeps += 1
            store = f"killed{self.outcome.sweeps}"
            self.journal.unlink(missing_ok=True)
            self.disturb(store, kills)
            self.compare(store)
        self.outcome.seconds = time.monotonic() - began - self.outcome.undisturbed
        return self.outcome

    def start(self, store: str) -> subprocess.Popen[str]:
        """Start the command; its words are the same every time."""
        self.outcome.starts += store != ALONE
        with (self.folder / f"{store}.log").open("a") as log:
            return subprocess.Popen(
                [
                    sys.executable,
                    str(ROOT / "train.py"),
                    "-m",
                    *WORDS,
                    *POINTS[self.points],
                    *self._place(store),
                ],
                cwd=self.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "OMP_NUM_THREADS": "1", **self._killer()},
                start_new_session=True,
            )

    def _place(self, store: str) -> tuple[str, ...]:
        """Return where things lie; an adapter names the folder of its base, so that is one for all."""
        return f"runtime.store={self.folder / store}", f"runtime.cache={self.folder / 'cache'}"

    def _killer(self) -> dict[str, str]:
        path = os.pathsep.join(filter(None, (str(KILLER), os.environ.get("PYTHONPATH"))))
        return {"PYTHONPATH": path, "TORTURE_ORDER": str(self.order), "TORTURE_JOURNAL": str(self.journal)}

    def _finish(self, process: subprocess.Popen[str], store: str) -> None:
        if process.wait() != 0:
            log = (self.folder / f"{store}.log").read_text()
            sys.exit(f"the sweep did not end well:\n{log[-3000:]}")

    def disturb(self, store: str, kills: int) -> None:
        """Kill until there were kills enough or the sweep has ended, then let the command come to its end."""
        process = self._begin(store)
        while self.outcome.kills.total() < kills:
            if process.poll() is not None:
                if process.returncode == 0:
                    break
                process = self._begin(store)
            self.strike(process)
        self._finish(process if process.poll() is None else self.start(store), store)
        if process.returncode:  # it was killed, or had lost points to kills
            self._finish(self.start(store), store)

    def _begin(self, store: str) -> subprocess.Popen[str]:
        """Start the command; at times its first process is to die while it writes down its plan."""
        if self.random.random() > AT_START:
            return self.start(store)
        moment = self.random.choice(ASKED[1:])
        self.order.write_text(f"parent {moment} 1")
        process = self.start(store)
        self._await(process, f"{moment} (parent)")
        return process

    def strike(self, process: subprocess.Popen[str]) -> None:
        """Let one kill fall; when its victim has come to its end before, nothing has happened."""
        moment = self.random.choice(BY_HAND + ASKED)
        if moment in BY_HAND:
            time.sleep(self.random.uniform(0.2, 12.0))
            self.outcome.kills[moment] += self._kill(process, moment)
        else:
            self.order.write_text(f"worker {moment} {self.random.randint(1, 20)}")
            self._await(process, f"{moment} (worker)")
        if process.poll() is not None:
            self._all_gone()

    def _await(self, process: subprocess.Popen[str], moment: str) -> None:
        """Wait until somebody has taken the order, and died of it."""
        began = time.monotonic()
        while self.order.exists() and process.poll() is None and time.monotonic() - began < PATIENCE_S:
            time.sleep(0.02)
        self.outcome.kills[moment] += not self.order.exists()
        self.order.unlink(missing_ok=True)
        if "parent" in moment:
            process.wait()

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

    def _all_gone(self) -> None:
        """Fail when a process of a killed sweep lives on."""
        began = time.monotonic()
        while left := alive(str(self.folder)):
            if time.monotonic() - began > PATIENCE_S:
                self.outcome.problems.append(f"{len(left)} processes live on after their sweep was killed")
                return
            time.sleep(0.1)

    def compare(self, store: str) -> None:
        """Note what differs from the undisturbed sweep."""
        alone, killed = self.folder / ALONE, self.folder / store
        expected, found = read(alone), read(killed)
        if set(expected) != set(found):
            self.outcome.problems.append(f"{len(expected)} runs alone, {len(found)} after kills")
        for run_id in set(expected) & set(found):
            unlike = [key for key in SAME if expected[run_id][key] != found[run_id][key]]
            if unlike:
                self.outcome.problems.append(f"run {run_id} differs in {', '.join(unlike)}")
        self.outcome.resumed += sum(bool(record["resumed"]) for record in found.values())
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
        f"{moment.replace('_', ' ')} {count}" for moment, count in sorted(outcome.kills.items())
    )
    rows = (
        ("points", points),
        ("kills (seed)", f"{outcome.kills.total()} ({seed})"),
        ("of them", kills),
        ("sweeps, starts of the command", f"{outcome.sweeps}, {outcome.starts}"),
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
