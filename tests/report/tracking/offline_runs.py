"""What W&B wrote into a store, read back by its own reader."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wandb.util import get_core_path


@dataclass
class Mirrored:
    """One offline run."""

    folder: Path
    lines: list[dict[str, Any]]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [line[kind] for line in self.lines if line["type"] == kind]

    @property
    def started(self) -> dict[str, Any]:
        (found,) = self.of("run")
        return found

    @property
    def config(self) -> dict[str, Any]:
        return self.started["config"]["update"]

    @property
    def summary(self) -> dict[str, Any]:
        return {key: value for line in self.of("summary") for key, value in line["update"].items()}

    @property
    def history(self) -> list[dict[str, Any]]:
        return [line["item"] for line in self.of("history")]

    @property
    def keys(self) -> set[str]:
        """Return the names of everything that was logged: numbers, tables, charts, media."""
        found = {key.split(".")[0] for item in [self.summary, *self.history] for key in item}
        return {key for key in found if not key.startswith("_")}

    @property
    def tables(self) -> dict[str, dict[str, Any]]:
        """Return the tables by the names that they were logged under."""
        places = {key.removesuffix(".path"): path for key, path in self.summary.items() if ".path" in key}
        files = {name: self.folder / "files" / str(path) for name, path in places.items()}
        return {
            name: json.loads(file.read_text())
            for name, file in files.items()
            if file.name.endswith(".table.json")
        }


def mirrored(store: Path | str) -> dict[str, Mirrored]:
    """Return the offline runs of a store by id; of two of one id the later."""
    found = {}
    for folder in sorted(Path(store).glob("wandb/offline-run-*")):
        (file,) = folder.glob("*.wandb")
        # As `wandb leet inspect --json FILE`, without a second to start Python.
        command = [get_core_path(), "leet", "inspect", "--no-observability", "--json"]
        command += ["--run-file", str(file), str(folder)]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        mirror = Mirrored(folder, [json.loads(line) for line in text.splitlines()])
        found[mirror.started["run_id"]] = mirror
    return found
