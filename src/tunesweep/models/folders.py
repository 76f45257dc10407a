"""Model folders that are made once, by whoever asks first, and complete under their name."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tunesweep.errors import StorageError


def made_once(final: Path, make: Callable[[], tuple[object, ...]]) -> Path:
    """Return a folder; if it is not there, write what `make` returns into it by `save_pretrained`.

    The folder gets its name last. What `make` raises leaves nothing behind.
    """
    if final.is_dir():
        return final
    with _locked(final):
        if not final.is_dir():  # whoever held the lock has done it
            _make(final, make)
    return final


@contextmanager
def _locked(final: Path) -> Iterator[None]:
    """Hold the folder's lock; the kernel lets go of it when the process dies."""
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        with final.with_suffix(".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise _unwritable(final.parent, error) from None


def _make(final: Path, make: Callable[[], tuple[object, ...]]) -> None:
    for left in final.parent.glob(f"{final.name}.part-*"):  # of a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    items = make()
    part = final.with_name(f"{final.name}.part-{os.getpid()}")
    part.mkdir()
    try:
        for item in items:
            item.save_pretrained(part)  # type: ignore[attr-defined]
        part.rename(final)
    except Exception as error:  # safetensors has its own class for a full disk
        raise _unwritable(final.parent, error) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _unwritable(folder: Path, error: Exception) -> StorageError:
    remedy = "free space there, or set runtime.cache=FOLDER to another place"
    return StorageError(f"{folder} cannot take a model ({error}): {remedy}")
