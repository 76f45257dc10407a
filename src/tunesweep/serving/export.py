"""A run's weights in Hugging Face format: the adapter, the whole model it makes, or both."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunesweep.config import RunConfig
from tunesweep.errors import BadConfig, BadData, StorageError, require
from tunesweep.record import RunRecord
from tunesweep.serving import card, loading, merge_score, reproduce, snippets
from tunesweep.serving.examples import NewExamples, without_rows
from tunesweep.silence import quiet_libraries
from tunesweep.store import Store

ADAPTER, MERGED = "adapter", "merged"
KINDS = {ADAPTER: (ADAPTER,), MERGED: (MERGED,), "both": (ADAPTER, MERGED)}
MARK = "tunesweep.json"  # which run an export is of; also what `--force` may replace


@dataclass
class Exported:
    """Where what lies, and what merging did to the score."""

    folders: dict[str, Path]
    figures: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def sentences(self) -> list[str]:
        """Return what merging did, in words."""
        if not self.figures:
            return []
        f = self.figures
        otherwise = f"; {f['changed']:,} answered otherwise" if "changed" in f else ""
        return [
            f"after merging: {f['metric']} {f['score']:.4f} on {f['n']:,} examples, "
            f"{f['score_change']:+.4f}{otherwise}"
        ]


def export(
    store: Store,
    run_id: str,
    *,
    what: str | None = None,
    to: Path | None = None,
    force: bool = False,
    device: str = "auto",
) -> Exported:
    """Write adapter, merged model or both, each with a card; score the merged one, and tell the record."""
    record = loading.finished(store, run_id)
    config = loading.config_of(store, record, device)
    kinds = chosen(config, what, record.run_id)
    source = loading.artefact_folder(store, record)
    assert source is not None
    with _new_folder(to or store.path("exports", record.run_id), force) as new, quiet_libraries():
        places = {kind: new / kind if len(kinds) > 1 else new for kind in kinds}
        data = without_rows(config, loading.labels(record))
        done = Exported(places)
        for kind, place in places.items():
            place.mkdir(parents=True, exist_ok=True)
            WRITE[kind](store, config, data, source, place)
        if MERGED in places:
            _measure(store, record, config, places[MERGED], done)
        made = reproduce.command(record)
        for kind, place in places.items():
            code = snippets.lines(config, kind, list(data.names), snippets.reading(config, data))
            figures = done.figures if kind == MERGED else {}
            text = card.card(record, config, kind, code=code, made=made, export=figures)
            (place / "README.md").write_text(text, "utf-8")
            (place / MARK).write_text(json.dumps({"run_id": record.run_id, "kind": kind}), "utf-8")
    target = to or store.path("exports", record.run_id)
    done.folders = {kind: target / kind if len(kinds) > 1 else target for kind in kinds}
    return done


def chosen(config: RunConfig, what: str | None, run_id: str) -> Sequence[str]:
    """Return which of adapter and merged model are wanted and can be had; by default, all that can."""
    if not config.method.trained:
        raise BadConfig(
            f"run {run_id} (method={config.method.name}) trained nothing: there is nothing to export"
        )
    if config.model.family == "vision":
        raise BadConfig(
            f"run {run_id} is of the reference model {config.model.name}, which has no Hugging Face format: "
            f"its weights are plain safetensors in adapters/{run_id}"
        )
    able = {ADAPTER: not config.method.full, MERGED: config.method.merges or _own_weights(config)}
    if what is None:
        return [kind for kind in able if able[kind]]
    require(what, KINDS, "--what")
    for kind in KINDS[what]:
        if not able[kind]:
            other = MERGED if kind == ADAPTER else ADAPTER
            reason = (
                "has no part beside the model"
                if kind == ADAPTER
                else "cannot become part of the base's weights"
            )
            raise BadConfig(
                f"--what={what}: what method={config.method.name} trains {reason}; use --what {other}"
            )
    return KINDS[what]


def _own_weights(config: RunConfig) -> bool:
    """Whether the method changes the model's own weights and adds nothing."""
    return config.method.peft is None and config.method.layers is None


def _adapter(store: Store, config: RunConfig, data: NewExamples, source: Path, place: Path) -> None:
    """Copy what the run kept, without the folder that its base lay in."""
    shutil.copytree(source, place, dirs_exist_ok=True)
    told = place / "adapter_config.json"
    if told.exists():
        content = json.loads(told.read_text("utf-8"))
        on_hub = config.model.revision and not config.model.init_from
        content["base_model_name_or_path"] = config.model.source if on_hub else None
        told.write_text(json.dumps(content, indent=2, sort_keys=True), "utf-8")
    data.tokenizer.save_pretrained(str(place))


def _merged(store: Store, config: RunConfig, data: NewExamples, source: Path, place: Path) -> None:
    """Merge into the model's own full-precision weights, never into 4 bits, and round to bf16."""
    from safetensors.torch import save_file

    from tunesweep.methods.artefact import HEAD
    from tunesweep.methods.merging import merged

    plain = loading.unquantised(config)
    whole = merged(loading.network(plain, data, store, source))
    whole.body.save_pretrained(str(place))  # type: ignore[operator]
    if whole.head is not None:
        save_file({k: v.contiguous() for k, v in whole.head.state_dict().items()}, str(place / HEAD))
    data.tokenizer.save_pretrained(str(place))


WRITE = {ADAPTER: _adapter, MERGED: _merged}


def _measure(store: Store, record: RunRecord, config: RunConfig, place: Path, done: Exported) -> None:
    try:
        done.figures = merge_score.measure(store, record, config, place)
    except BadData as error:
        done.notes.append(f"the merged model was not scored, as its data are not at hand: {error}")
        return
    merge_score.remember(store, record, done.figures)


@contextmanager
def _new_folder(target: Path, force: bool) -> Iterator[Path]:
    """Give a folder that takes its name when all is written; another export may be replaced, nothing else."""
    _check_target(target, force)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as folder:
            new = Path(folder) / target.name
            new.mkdir()
            yield new
            if target.exists():
                shutil.rmtree(target)
            new.rename(target)
    except OSError as error:
        reason = error.strerror or error
        raise StorageError(f"--to={target} cannot be written: {reason}; give another folder") from None


def _check_target(target: Path, force: bool) -> None:
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    if not target.is_dir():
        raise StorageError(f"--to={target} is a file: give a folder")
    if not list(target.glob(MARK)) + list(target.glob(f"*/{MARK}")):
        raise StorageError(f"--to={target} is not empty and holds no export: give a new folder")
    if not force:
        raise StorageError(f"--to={target} holds an export already: --force replaces it")
