"""Texts to token ids: once, for all points and runs that share text, encoding and tokenizer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import datasets
import numpy as np

from tunesweep.data.examples import Examples
from tunesweep.data.prompts import Fields, Prompt, PromptCall, continuations, within
from tunesweep.errors import BadConfig, StorageError
from tunesweep.identity import digest

# A cached file with other columns is not ours. token_type_ids: of pairs alone; answer_ids: if one is written.
COLUMNS = ("input_ids", "token_type_ids", "answer_ids", "scored", "length", "truncated", "index")
Rows = dict[str, list[Any]]


def tokenise(
    examples: Examples,
    encoding: Any,
    tokenizer: Any,
    *,
    cache: Path,
    tokenizer_fingerprint: str,
    prompt: Prompt | None = None,
    befores: Sequence[str] | None = None,
    answers: Sequence[str] | None = None,
) -> datasets.Dataset:
    """Return the columns above, in the order of the examples.

    Args:
        examples: what is read.
        encoding: how it becomes text.
        tokenizer: how text becomes ids.
        cache: where the result is kept, in an Arrow file named by its content; one under its name is whole.
        tokenizer_fingerprint: stands for the tokenizer in that name.
        prompt: what stands around the text, for readouts that need one.
        befores: solved examples of each example's own.
        answers: what is to be written, END not included.
    """
    settings = [
        *(COLUMNS, type(encoding).__name__, asdict(encoding), tokenizer_fingerprint),
        *(None if prompt is None else asdict(prompt), _digest(befores), _digest(answers)),
        _digest(examples.inputs),
    ]
    path = cache / "tokens" / f"{digest(settings)}.arrow"
    if not path.exists():
        texts = [encoding.encode(example) for example in examples.inputs]
        columns = {"before": befores, "answer": answers, "index": range(len(texts))}
        _write(texts, columns, _call(texts, encoding, tokenizer, prompt), path)
    return datasets.Dataset.from_file(str(path))


def _digest(inputs: Any) -> str:
    whole = hashlib.sha256()
    if isinstance(inputs, np.ndarray):
        whole.update(f"{inputs.dtype}{inputs.shape}".encode())
        whole.update(np.ascontiguousarray(inputs).tobytes())
    else:
        for example in inputs or ():
            whole.update(repr(example).encode())
    return whole.hexdigest()


def _write(texts: list[Fields], extra: dict[str, Any], call: Callable[[Rows], Rows], path: Path) -> None:
    parts = [(text,) if isinstance(text, str) else text for text in texts]
    columns = {f"field{number}": list(values) for number, values in enumerate(zip(*parts, strict=True))}
    columns |= {name: list(values) for name, values in extra.items() if values is not None}
    write_rows(datasets.Dataset.from_dict(columns), call, [name for name in columns if name != "index"], path)


def write_rows(rows: datasets.Dataset, call: Callable[[Rows], Rows], gone: list[str], path: Path) -> None:
    """Put what a call makes of some rows under a path, whole or not at all; columns in `gone` are dropped."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=path.parent) as folder:  # what a failed write leaves goes with it
            part = Path(folder) / path.name
            named = {
                "cache_file_name": str(part),
                "new_fingerprint": path.stem[:64],
            }  # else it pickles `call`
            rows.map(call, batched=True, remove_columns=gone, **named)
            part.replace(path)
    except OSError as error:
        reason = error.strerror or error
        raise StorageError(f"token ids cannot be written to {path.parent}: {reason}") from error


def _call(
    texts: list[Fields], encoding: Any, tokenizer: Any, prompt: Prompt | None
) -> Callable[[Rows], Rows]:
    """Return what turns columns of fields into ids."""
    read = _reader(texts, encoding, tokenizer, prompt)
    longest = getattr(encoding, "max_answer", encoding.max_length)

    def call(rows: Rows) -> Rows:
        columns = read(_fields(rows), rows.get("before"))
        if "answer" in rows:
            columns["answer_ids"] = _answers(tokenizer, rows["answer"], longest)
        return columns

    return call


def _fields(rows: Rows) -> list[Fields]:
    names = sorted(name for name in rows if name.startswith("field"))
    return (
        list(rows[names[0]]) if len(names) == 1 else list(zip(*(rows[name] for name in names), strict=True))
    )


def _reader(texts: list[Fields], encoding: Any, tokenizer: Any, prompt: Prompt | None) -> Callable[..., Rows]:
    length, cut = encoding.max_length, getattr(encoding, "cut", "tail")
    if prompt is not None:
        return PromptCall(prompt, tokenizer, length, cut)
    pair = bool(texts) and not isinstance(texts[0], str)
    _check_room(tokenizer, length, pair)
    if cut == "tail":
        return lambda rows, _: _plain(tokenizer, length, rows, pair)
    return lambda rows, _: _cut(tokenizer, length, rows, pair, cut)


def _answers(tokenizer: Any, texts: Sequence[str], longest: int) -> list[list[int]]:
    """Return each answer's ids with END, which is learned as any other token (R12)."""
    end = tokenizer.eos_token_id
    if end is None:
        raise BadConfig("this tokenizer has no end-of-text token, so no answer would end: set model.end")
    return [[*ids[: longest - 1], end] for ids in continuations(tokenizer, texts)]


def _plain(tokenizer: Any, length: int, rows: Sequence[Fields], pair: bool) -> Rows:
    """Let the tokenizer cut: ends go first, of the longer text of two."""
    batch = tokenizer(*_sides(rows, pair), truncation=True, max_length=length)
    return _columns(tokenizer, batch, [bool(encoding.overflowing) for encoding in batch.encodings], pair)


def _cut(tokenizer: Any, length: int, rows: Sequence[Fields], pair: bool, how: str) -> Rows:
    """Cut by our own rules; special tokens stay."""
    batch = tokenizer(*_sides(rows, pair))
    truncated = []
    for number, encoding in enumerate(batch.encodings):
        sides = [[p for p, side in enumerate(encoding.sequence_ids) if side == s] for s in range(1 + pair)]
        places = list(range(len(encoding.ids)))
        kept = within(places, sides, length, how)
        truncated.append(len(kept) < len(places))
        for values in batch.values():
            values[number] = [values[number][place] for place in kept]
    return _columns(tokenizer, batch, truncated, pair)


def _sides(rows: Sequence[Fields], pair: bool) -> tuple[list[Any], ...]:
    return tuple(map(list, zip(*rows, strict=True))) if pair else (list(rows),)


def _columns(tokenizer: Any, batch: Any, truncated: list[bool], pair: bool) -> Rows:
    columns = {"input_ids": batch["input_ids"], "truncated": truncated}
    if pair and "token_type_ids" in batch:  # else all zero, which the models assume anyway
        columns["token_type_ids"] = batch["token_type_ids"]
    columns["input_ids"] = [ids or [tokenizer.pad_token_id] for ids in columns["input_ids"]]  # an empty text
    columns["length"] = [len(ids) for ids in columns["input_ids"]]
    return columns


def _check_room(tokenizer: Any, length: int, pair: bool) -> None:
    """Refuse a length that leaves no room for a text: tokenizers would cut nothing then, without a word."""
    needed = tokenizer.num_special_tokens_to_add(pair=pair)
    if length <= needed:
        raise BadConfig(
            f"encoding.max_length={length} leaves no room for a text beside {needed} tokens that are always "
            "there: make it longer"
        )


def fingerprint(rows: datasets.Dataset) -> str:
    """Return a hash of all id sequences: equal ones mean that two encodings have collapsed into one."""
    whole = hashlib.sha256()
    for ids in rows["input_ids"]:
        whole.update(np.asarray(ids, dtype=np.int64).tobytes() + b"|")
    return whole.hexdigest()[:16]


def description(rows: datasets.Dataset, examples: Examples, encoding: Any, tokenizer: Any) -> dict[str, Any]:
    """Return what the record says about an encoding after the tokenizer."""
    lengths = rows["length"][:]
    found: dict[str, Any] = {
        "name": encoding.name,
        "max_length": encoding.max_length,
        "ids_fingerprint": fingerprint(rows),
        "tokens_mean": float(np.mean(lengths)),
        "tokens_max": int(max(lengths)),
        "truncated_share": float(np.mean(rows["truncated"])),
    }
    if encoding.modality == "image":
        found["kept_pixels"] = _kept(rows, examples, encoding, tokenizer)
    return found


def _kept(
    rows: datasets.Dataset, examples: Examples, encoding: Any, tokenizer: Any, sample: int = 100
) -> float:
    """Return the mean share of pixels that can still be read from what the tokenizer gives back."""
    from tunesweep.data.encodings.image import kept_pixels

    pairs = zip(rows["input_ids"][:sample], examples.inputs[:sample], strict=True)
    texts = [(image, tokenizer.decode(ids, skip_special_tokens=True)) for ids, image in pairs]
    return float(np.mean([kept_pixels(encoding, image, text) for image, text in texts]))
