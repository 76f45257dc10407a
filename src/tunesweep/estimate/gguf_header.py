"""The sizes in the header of a GGUF file, read without its tensors: the format's own reader takes seconds.

Layout: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (version 3, little-endian).
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import IO, Any

STRING, ARRAY = 8, 9
NUMBERS = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    7: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}
LONGEST = 1 << 20  # bytes of a string; anything above is no GGUF file
# What transformers calls the same things.
NAMES = {
    "block_count": "num_hidden_layers",
    "embedding_length": "hidden_size",
    "feed_forward_length": "intermediate_size",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.key_length": "head_dim",
    "vocab_size": "vocab_size",
}


def read(path: Path) -> dict[str, Any]:
    """Return the keys of a config.json that the header says; ValueError where it is none."""
    found: dict[str, Any] = {}
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise ValueError(f"{path} is no GGUF file")
        _version, _tensors, count = (_number(file, kind) for kind in (4, 10, 10))
        for _ in range(count):
            key = _string(file)
            kind = _number(file, 4)
            if key == "tokenizer.ggml.tokens":  # sizes stand before the vocabulary, whose length is enough
                _number(file, 4)
                found.setdefault("vocab_size", _number(file, 10))
                break
            _keep(found, key, _value(file, kind))
        found["tie_word_embeddings"] = not _has_tensor(path, "output.weight")
    return found


def _keep(found: dict[str, Any], key: str, value: Any) -> None:
    if key == "general.architecture":
        found["model_type"] = value
    own = key.removeprefix(f"{found.get('model_type')}.")
    if own in NAMES:
        found[NAMES[own]] = value


def _value(file: IO[bytes], kind: int) -> Any:
    if kind == STRING:
        return _string(file)
    if kind == ARRAY:
        inner, length = _number(file, 4), _number(file, 10)
        return [_value(file, inner) for _ in range(min(length, LONGEST))]
    return _number(file, kind)


def _number(file: IO[bytes], kind: int) -> Any:
    form = NUMBERS.get(kind)
    data = file.read(struct.calcsize(form)) if form else b""
    if not form or len(data) < struct.calcsize(form):
        raise ValueError("the header is cut off, or no GGUF")
    return struct.unpack(form, data)[0]


def _string(file: IO[bytes]) -> str:
    length = _number(file, 10)
    if length > LONGEST:
        raise ValueError("the header is no GGUF")
    return file.read(length).decode("utf-8", "replace")


def _has_tensor(path: Path, name: str) -> bool:
    """Whether the list of tensors, which follows the vocabulary, has a name: its length and its letters."""
    import mmap

    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return data.find(struct.pack("<Q", len(name)) + name.encode(), 0, 64 << 20) >= 0
