"""What finished runs of a store say about one to come: lengths, tokens and speed on the same device."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

from tunesweep.config import RunConfig
from tunesweep.hardware import device_name
from tunesweep.record import RunRecord
from tunesweep.report.fields import flatten

# Runs alike in these read the same tokens.
READ = ("encoding", "dataset.limit", "readout.name", "readout.prompt", "readout.chat", "model.tokenizer")
# Runs alike in these compute at one speed; what else differs, such as a rank, bears on it little.
FAST = ("model.name", "method.name", "method.quantisation", "readout.name", "train.precision")
# What older records do not say was so.
WAYS = {
    "threads": None,
    "gradient_checkpointing": None,
    "attention": None,
    "executor": None,
    "kernels": "standard",
    "packing": False,
    "compile": False,
}


class Finished:
    """The succeeded runs of a store."""

    def __init__(self, records: Iterable[RunRecord]) -> None:
        self.runs = [(record, _flat(record)) for record in records if record.status == "succeeded"]

    def longest(self, config: RunConfig) -> int | None:
        """Return the tokens of the longest example, where a run on the same data has counted them."""
        said = [(record.cost.get("predicted") or {}).get("tokens") for record in self._same_data(config)]
        return max((int(tokens) for tokens in said if tokens), default=None)

    def scored(self, config: RunConfig) -> int | None:
        """Return the number of test examples, where it is known."""
        found = [record.metrics.get("test", {}).get("n") for record in self._same_data(config)]
        return next((int(n) for n in found if n), config.dataset.limit.test)

    def minutes(self, config: RunConfig) -> float | None:
        """Return how long a point will take; nothing where no run on this device can tell.

        Training is its tokens over the speed of the run that is most alike; what else a run does, loading,
        scoring and checks, is taken to last as long as in that run.
        """
        tokens, alike = self._tokens(config), self._alike(config)
        if tokens is None or not alike:
            return None
        speed = median(float(record.cost["tokens_per_s"]) for record in alike)
        rest = median(_rest(record) for record in alike)
        return rest + tokens * (config.train.epochs or 0) / speed / 60

    def _same_data(self, config: RunConfig) -> list[RunRecord]:
        if not self.runs:
            return []
        point, wanted = config.runtime.point, _parts(flatten_config(config), READ)
        return [
            record
            for record, flat in self.runs
            if record.data.get("fingerprint") == point.data_fingerprint
            and record.provenance.get("model_fingerprint") == point.model_fingerprint
            and _parts(flat, READ) == wanted
        ]

    def _tokens(self, config: RunConfig) -> float | None:
        """Return the tokens of an epoch."""
        found = [
            float(record.cost["tokens_per_s"]) * 60 * float(record.cost["minutes_per_epoch"])
            for record in self._same_data(config)
            if _timed(record)
        ]
        return median(found) if found else None

    def _alike(self, config: RunConfig) -> list[RunRecord]:
        """Return the runs of the same speed that are most alike in all other settings."""
        if not self.runs:
            return []
        own, device = flatten_config(config), device_name(config.runtime.device)
        ways = _ways(vars(config.runtime) | {"executor": config.runtime.point.executor})
        found = [
            (sum(flat.get(key) == value for key, value in own.items()), record)
            for record, flat in self.runs
            if _timed(record)
            and record.provenance.get("device") == device
            and _ways(record.runtime) == ways
            and all(flat.get(key) == own.get(key) for key in FAST)
        ]
        best = max((score for score, _ in found), default=0)
        return [record for score, record in found if score == best]


def _timed(record: RunRecord) -> bool:
    return all(record.cost.get(key) for key in ("tokens_per_s", "minutes_per_epoch", "minutes", "epochs"))


def _rest(record: RunRecord) -> float:
    training = float(record.cost["epochs"]) * float(record.cost["minutes_per_epoch"])
    return max(0.0, float(record.cost["minutes"]) - training)


def _ways(runtime: Any) -> tuple[Any, ...]:
    return tuple(runtime.get(key, before) for key, before in WAYS.items())


def _flat(record: RunRecord) -> dict[str, Any]:
    return flatten(record.config)


def flatten_config(config: RunConfig) -> dict[str, Any]:
    """Return a configuration as records hold it, flat."""
    from tunesweep.record import draft

    return flatten(draft(config).config)


def _parts(flat: dict[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    return {k: v for k, v in flat.items() if any(k == key or k.startswith(f"{key}.") for key in keys)}
