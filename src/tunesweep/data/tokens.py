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
from tunesweep.errors import BadConfig, StorageError
from tunesweep.identity import digest

Encoded = str | tuple[str, str]
COLUMNS = (
    "input_ids",
    "token_type_ids",
    "length",
    "truncated",
    "index",
)  # a cached file has other ones: not ours


def tokenise(
    examples: Examples,
    encoding: Any,
    tokenizer: Any,
    *,
    prompt: str | None,
    cache: Path,
    tokenizer_fingerprint: str,
) -> datasets.Dataset:
    """Return the columns above (token_type_ids for pairs alone), in the order of the examples.

    The result is kept in an Arrow file named by its content; a file under its final name is whole.
    """
    settings = [
        COLUMNS,
        type(encoding).__name__,
        asdict(encoding),
        prompt,
        tokenizer_fingerprint,
        _digest(examples.inputs),
    ]
    path = cache / "tokens" / f"{digest(settings)}.arrow"
    if not path.exists():
        texts = [encoding.encode(example) for example in examples.inputs]
        _check_room(tokenizer, encoding.max_length, isinstance(texts[0], tuple), prompt)
        _write(texts, _tokenizer_call(tokenizer, encoding.max_length, prompt), path)
    return datasets.Dataset.from_file(str(path))


def _digest(inputs: Any) -> str:
    whole = hashlib.sha256()
    if isinstance(inputs, np.ndarray):
        whole.update(f"{inputs.dtype}{inputs.shape}".encode())
        whole.update(np.ascontiguousarray(inputs).tobytes())
    else:
        for example in inputs:
            whole.update(repr(example).encode())
    return whole.hexdigest()


def _write(
    texts: list[Encoded], call: Callable[[dict[str, list[Any]]], dict[str, list[Any]]], path: Path
) -> None:
    first = [text if isinstance(text, str) else text[0] for text in texts]
    columns: dict[str, list[Any]] = {"text": first, "index": list(range(len(texts)))}
    if texts and not isinstance(texts[0], str):
        columns["pair"] = [text[1] for text in texts]
    rows, texts_only = datasets.Dataset.from_dict(columns), [name for name in columns if name != "index"]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=path.parent) as folder:  # what a failed write leaves goes with it
            part = Path(folder) / path.name
            rows.map(call, batched=True, remove_columns=texts_only, cache_file_name=str(part))
            part.replace(path)
    except OSError as error:
        reason = error.strerror or error
        raise StorageError(f"token ids cannot be written to {path.parent}: {reason}") from error


def _tokenizer_call(tokenizer: Any, length: int, prompt: str | None) -> Callable[..., dict[str, list[Any]]]:
    if prompt is None:
        return lambda rows: _plain(tokenizer, length, rows["text"], rows.get("pair"))
    before, _, after = prompt.partition("{text}")
    tail = tokenizer(after, add_special_tokens=False)["input_ids"]
    return lambda rows: _prompted(tokenizer, length, before, tail, _joined(rows))


def _joined(rows: dict[str, list[str]]) -> list[str]:
    if "pair" not in rows:
        return rows["text"]
    return [f"{text}\n{pair}" for text, pair in zip(rows["text"], rows["pair"], strict=True)]


def _plain(tokenizer: Any, length: int, texts: list[str], pairs: list[str] | None) -> dict[str, list[Any]]:
    batch = tokenizer(texts, pairs, truncation=True, max_length=length)
    columns = {key: batch[key] for key in ("input_ids", "token_type_ids") if key in batch}
    if not pairs:
        columns.pop("token_type_ids", None)  # all zero, which the models assume anyway
    columns["truncated"] = [bool(encoding.overflowing) for encoding in batch.encodings]
    columns["input_ids"] = [ids or [tokenizer.pad_token_id] for ids in columns["input_ids"]]  # an empty text
    columns["length"] = [len(ids) for ids in columns["input_ids"]]
    return columns


def _prompted(
    tokenizer: Any, length: int, before: str, tail: Sequence[int], texts: list[str]
) -> dict[str, list[Any]]:
    """Cut the text, never the question that follows it."""
    columns = _plain(tokenizer, length - len(tail), [before + text for text in texts], None)
    columns["input_ids"] = [[*ids, *tail] for ids in columns["input_ids"]]
    columns["length"] = [len(ids) for ids in columns["input_ids"]]
    return columns


def _check_room(tokenizer: Any, length: int, pair: bool, prompt: str | None) -> None:
    """Refuse a length that leaves no room for a text: tokenizers would cut nothing then, without a word."""
    frame = tokenizer((prompt or "").replace("{text}", ""), add_special_tokens=False)["input_ids"]
    needed = len(frame) + tokenizer.num_special_tokens_to_add(pair=pair)
    if length <= needed:
        raise BadConfig(
            f"encoding.max_length={length} leaves no room for a text beside {needed} tokens that are always "
            "there: make it longer, or readout.prompt shorter"
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
