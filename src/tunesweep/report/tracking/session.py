"""One W&B run from beginning to end, and what W&B takes for names."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tunesweep.config import WandbConfig
from tunesweep.errors import BadConfig, StorageError
from tunesweep.report.fields import one_line

TAG, NAME = 64, 128  # characters that W&B takes
Send = Callable[[Any], None]
# W&B would describe the process that sends; the record says more, and of the process that trained.
OF_THE_SENDER = {
    "disable_git": True,
    "host": "",
    "program": "tunesweep",
    "save_code": False,
    "x_disable_machine_info": True,
    "x_disable_meta": True,
    "x_disable_stats": True,
    "x_save_requirements": False,
}


def session(settings: WandbConfig, store: Path, send: Send, exit_code: int, **run: Any) -> str | None:
    """Open a W&B run, send, and always finish it with the exit code of what it mirrors.

    Return what went wrong, if anything did: the mirror is never the reason why a result is lost. A run of the
    same id is written anew by the service, as `resume` is not set: what is sent is whole.
    """
    mode: Any = settings.mode
    if mode == "disabled":
        return None
    try:
        wandb = library()
        store.mkdir(parents=True, exist_ok=True)
        with _all_below(store):
            opened = wandb.init(
                project=settings.project,
                entity=settings.entity,
                mode=mode,
                dir=str(store),
                reinit="create_new",  # a second init in one process would return the first run
                settings=wandb.Settings(silent=True, console="off", **OF_THE_SENDER),
                **run,
            )
            try:
                send(opened)
            finally:
                opened.finish(exit_code=exit_code)
    except Exception as error:  # whatever the mirror throws must not cost the result
        return f"W&B ({mode}) could not be written: {type(error).__name__}: {one_line(error)}"
    return None


def library() -> Any:
    """Return W&B's own package, which is asked not to talk."""
    os.environ.setdefault("WANDB_SILENT", "true")
    # Its reports on itself are sent to W&B even by a run that writes files alone.
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    import wandb

    return wandb


@contextmanager
def _all_below(store: Path) -> Iterator[None]:
    """Keep in the store what W&B would put into the home folder: tables that wait for being sent."""
    if "WANDB_DATA_DIR" in os.environ:
        yield
        return
    os.environ["WANDB_DATA_DIR"] = str((store / "wandb" / "data").resolve())
    try:
        yield
    finally:
        del os.environ["WANDB_DATA_DIR"]


def check_access(settings: WandbConfig) -> None:
    """Refuse to begin without a key that the service takes."""
    if settings.mode != "online":
        return
    if (wanted := os.environ.get("WANDB_MODE", "online")) != "online":
        raise BadConfig(f"WANDB_MODE={wanted} forbids to send: unset it, or write files with --offline")
    try:
        known = library().login(prompt=False, verify=True)
    except Exception as error:  # a wrong key, no network, a proxy: whatever it is, it is said in a sentence
        raise StorageError(
            f"W&B did not let you in ({one_line(error)}): run `wandb login`, or write files with --offline"
        ) from None
    if not known:
        raise BadConfig("there is no W&B key: run `wandb login` once, or write files with --offline")


def key(text: str) -> str:
    """Return a name that W&B can sort and filter by: letters, digits and underscores."""
    found = re.sub(r"\W+", "_", text, flags=re.ASCII)
    return f"_{found}" if found[:1].isdigit() else found


def flat(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return numbers and texts under names of one level; what is neither is left out."""
    found: dict[str, Any] = {}
    for name, value in nested.items():
        full = key(f"{prefix}_{name}" if prefix else str(name))
        if isinstance(value, Mapping):
            found |= flat(value, full)
        elif isinstance(value, int | float | str):
            found[full] = value
    return found


def tags_of(words: Iterable[str | None]) -> list[str]:
    """Return words as tags, once each."""
    return list(dict.fromkeys(tag(word) for word in words if word))


def tag(word: str) -> str:
    """Return a word as a tag; what is too long for one is cut at its middle, as its end may tell it apart."""
    half = (TAG - 1) // 2
    return word if len(word) <= TAG else f"{word[:half]}~{word[-half:]}"
