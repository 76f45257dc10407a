"""A GGUF file as an ordinary model folder: converted once, whoever asks first."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tunesweep.data.location import file_digest
from tunesweep.errors import BadData, StorageError


def converted(path: Path, cache: Path) -> Path:
    """Return the folder with the file's model in bf16 safetensors, and its tokenizer.

    The folder gets its name last, so under that name it is complete; its name is the content's.
    """
    final = cache / "models" / file_digest(path, cache)[:16]
    if final.is_dir():
        return final
    with _locked(final):
        if not final.is_dir():  # whoever held the lock has done it
            _convert(path, final)
    return final


@contextmanager
def _locked(final: Path) -> Iterator[None]:
    """Hold the conversion's lock; the kernel lets go of it when the process dies."""
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        with final.with_suffix(".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise _unwritable(final.parent, error) from None


def _convert(path: Path, final: Path) -> None:
    for left in final.parent.glob(f"{final.name}.part-*"):  # of a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    parts = _read(path)
    part = final.with_name(f"{final.name}.part-{os.getpid()}")
    part.mkdir()
    try:
        for item in parts:
            item.save_pretrained(part)
        part.rename(final)
    except Exception as error:  # safetensors has its own class for a full disk
        raise _unwritable(final.parent, error) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _read(path: Path) -> tuple[Any, ...]:
    """Return model and tokenizer; both have `save_pretrained`."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    try:
        # Without `dequantize` the blocks would stay packed, and `save_pretrained` refuses them.
        blocks = GgufConfig(gguf_file=path.name, dequantize=True)
        model = AutoModelForCausalLM.from_pretrained(
            path.parent, gguf_file=path.name, dtype=torch.bfloat16, quantization_config=blocks
        )
        return model, AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    except Exception as error:  # a broken header surfaces as almost anything
        reason = f"{path} cannot be read as a GGUF model ({type(error).__name__}: {error})"
        raise BadData(f"{reason}: fetch the file again, or choose another by model.file") from error


def _unwritable(folder: Path, error: Exception) -> StorageError:
    remedy = "free space there, or set runtime.cache=FOLDER to another place"
    return StorageError(f"{folder} cannot take a converted model ({error}): {remedy}")
