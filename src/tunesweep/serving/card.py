"""The model card: what the record knows and a user of the weights needs, and no path of a machine."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from tunesweep.build import build
from tunesweep.config import SPLITS, RunConfig
from tunesweep.models import sources
from tunesweep.record import RunRecord
from tunesweep.report.fields import flatten

PATH = re.compile(r"(\w+://\S+)|(?<![\w.~/<])~?/[^\s,;:()'\"]+")  # an address, which stays, or a path


def card(
    record: RunRecord,
    config: RunConfig,
    kind: str,
    *,
    code: str,
    made: tuple[str, bool],
    export: Mapping[str, Any],
) -> str:
    """Return README.md.

    `code`: the lines that load; `made`: see `reproduce.command`; `export`: what was measured after a merge.
    """
    sections = {
        f"{config.method.name} on {config.model.name}, {config.dataset.name}": _what(record, config, kind),
        "Scores": _scores(record, export),
        "Loading": _loading(config, kind, code),
        "Data": _data(record, config),
        "Training": _training(record, config),
        "Made again": _reproduce(record, *made),
        "Checks": _checks(record),
    }
    parts = [f"{'#' if first else '##'} {title}\n\n{text}" for (title, text), first in _numbered(sections)]
    return "\n\n".join([_front_matter(config, kind), *parts]) + "\n"


def _numbered(sections: Mapping[str, str]) -> Iterator[tuple[tuple[str, str], bool]]:
    for number, item in enumerate(sections.items()):
        yield item, number == 0


def _front_matter(config: RunConfig, kind: str) -> str:
    library = "peft" if kind == "adapter" and config.method.peft is not None else "transformers"
    tags = ["tunesweep", config.method.name, config.dataset.task]
    lines = ["---", f"library_name: {library}", *_base_line(config), "tags:", *(f"- {tag}" for tag in tags)]
    return "\n".join([*lines, "---"])


def _base_line(config: RunConfig) -> list[str]:
    """Name the base where the hub knows it."""
    on_hub = sources.HUB_ID.fullmatch(config.model.source) and "/" in config.model.source
    return [f"base_model: {config.model.source}"] if on_hub and config.model.revision else []


def _what(record: RunRecord, config: RunConfig, kind: str) -> str:
    held = {
        "merged": "A whole model in bf16: it loads with transformers alone.",
        "adapter": f"What method={config.method.name} trained, {_million(record)}; the base comes on top.",
    }[kind]
    labels = record.data.get("labels") or []
    classes = f" Classes, in their order: {', '.join(map(str, labels))}." if labels else ""
    base = f" Base: {base_name(config)}."
    return f"{held}{base} Task: {config.dataset.task}, readout `{config.readout.name}`.{classes}"


def _million(record: RunRecord) -> str:
    parts = record.parameters
    counts = [f"{parts[key]:,} parameters ({key})" for key in ("adapter", "head") if parts.get(key)]
    return " and ".join(counts) or "no parameters"


def base_name(config: RunConfig) -> str:
    """Return the base in words, without a folder of somebody's machine."""
    model = config.model
    if model.init_from:
        return f"the exported whole model of run {model.init_from}"
    if model.random:
        return (
            f"a small random model ({model.name}), drawn with seed {config.seeds.init}, no pretrained weights"
        )
    if PurePath(model.source).is_absolute() or model.source.startswith((".", "~")):
        return f"{model.name}, from the folder {PurePath(model.source).name}"
    revision = f" at {model.revision}" if model.revision else ""
    file = f", {model.file}" if model.file else ""
    return f"{model.source}{revision}{file}"


def _scores(record: RunRecord, export: Mapping[str, Any]) -> str:
    protocol, metrics = record.metrics["protocol"], record.metrics
    metric, test = protocol["metric"], metrics[protocol["split"]]
    lines = ["| what | value |", "|---|---|", f"| {metric}, {protocol['split']} split | {test[metric]:.4f} |"]
    if interval := test.get("interval"):
        lines.append(
            f"| its 95 % interval (scored examples alone) | {interval[0]:.4f} to {interval[1]:.4f} |"
        )
    lines.append(f"| scored examples | {test['n']:,} |")
    if before := metrics.get("before"):
        lines.append(f"| {metric} before training | {before[metric]:.4f} |")
    if export:
        lines.append(f"| {metric} of this model, after merging | {export['score']:.4f} |")
        lines.append(f"| its change by merging | {export['score_change']:+.4f} |")
        if "changed" in export:
            lines.append(f"| examples that are answered otherwise after merging | {export['changed']:,} |")
    others = {k: v for k, v in test.items() if isinstance(v, float) and k != metric}
    lines += [f"| {name} | {value:.4f} |" for name, value in others.items()]
    chosen = f"The epoch was chosen on `{protocol['chosen_on']}`; labels of the test split were read once."
    return "\n".join([*lines, "", chosen if record.history else "Nothing was trained."])


def _loading(config: RunConfig, kind: str, code: str) -> str:
    encoding = build(config.encoding)
    fields = getattr(encoding, "fields", ("text",))
    texts = f"tuples ({', '.join(fields)})" if len(fields) > 1 else "strings"
    said = "`folder` is this folder" + (
        f", `base` the base ({base_name(config)})" if kind == "adapter" else ""
    )
    notes = [f"{said}, `texts` a list of {texts}. Examples are read one by one, so nothing is padded."]
    second = encoding.encode(("", "text"))[1] if len(fields) == 2 else "text"
    if joiner := second.removesuffix("text"):
        notes.append(f"The second text is empty, or begins with {joiner!r}.")
    if config.dataset.modality == "image":
        notes.append(f"Texts are pictures as encoding={config.encoding['name']} writes them.")
    if config.readout.calibration and config.readout.prompted:
        notes.append(f"The lines leave readout.calibration={config.readout.calibration} out.")
    if config.readout.constrain and config.readout.name == "generate":
        notes.append("The lines let the model write freely; readout.constrain=true did not.")
    if config.train.precision == "bf16":
        notes.append("Trained and scored under bf16 autocast: probabilities here agree to about two digits.")
    return " ".join(notes) + f"\n\n```python\n{code}\n```"


def _data(record: RunRecord, config: RunConfig) -> str:
    rows = record.data.get("rows") or {}
    sizes = ", ".join(f"{name} {rows[name]:,}" for name in SPLITS if name in rows)
    lines = [
        f"dataset={config.dataset.name}; rows: {sizes}. Content: `{record.data.get('fingerprint', '')[:16]}`."
    ]
    encoding = record.encoding
    if encoding.get("max_length"):
        lines.append(
            f"encoding={encoding['name']}, at most {encoding['max_length']} tokens; "
            f"{encoding.get('truncated_share', 0):.1%} of test inputs were cut."
        )
    return " ".join([*lines, *(f"{_placeless(warning)}." for warning in record.warnings)])


def _placeless(sentence: str) -> str:
    """Return a sentence in which files are named without their folders."""
    return PATH.sub(lambda found: found[1] or PurePath(found[0]).name, sentence)


def _training(record: RunRecord, config: RunConfig) -> str:
    train, seeds, versions = config.train, config.seeds, record.provenance.get("versions") or {}
    parts = [f"seeds: weights {seeds.init}, order {seeds.data}, splits {seeds.split}"]
    if config.method.trained:
        parts.insert(
            0, f"rate {train.lr}, epochs: {train.epochs}, batches of {train.batch_size}, {train.precision}"
        )
    parts.append(f"device: {record.provenance.get('device', 'unknown')}")
    parts.append(", ".join(f"{name} {number}" for name, number in versions.items()))
    return "; ".join(parts) + "."


def _reproduce(record: RunRecord, line: str, shortened: bool) -> str:
    git = record.provenance.get("git") or {}
    commit = f" at commit {git['commit'][:12]}{' (changed)' if git.get('dirty') else ''}" if git else ""
    note = " Files are named without their folders." if shortened else ""
    return f"tunesweep{commit}, run `{record.run_id}`.{note}\n\n```bash\n{line}\n```"


def _checks(record: RunRecord) -> str:
    """Return the integrity checks that are numbers or words, file digests left out."""
    left_out = ("files.", "merge.export.")
    found = {k: v for k, v in flatten(record.integrity).items() if not k.startswith(left_out)}
    lines = [f"| {re.sub(r'[._]', ' ', name)} | {_short(value)} |" for name, value in found.items()]
    return "\n".join(["| check | value |", "|---|---|", *lines])


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
