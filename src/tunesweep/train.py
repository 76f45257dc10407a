"""The door: `train.py` in a clone, `tunesweep-train` after an installation."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import hydra
from omegaconf import DictConfig

from tunesweep import door
from tunesweep.explain import EXPECTED, explain

_OTHER_COMMANDS = (
    *("-h", "--help", "--hydra-help", "--version", "-c", "--cfg", "-i", "--info", "-r", "--run"),
    *("-sc", "--shell-completion"),
)
_STOPPED = "stopped: what was finished is kept, the same command goes on from there"
FULL_ERROR = "HYDRA_FULL_ERROR"
INTERRUPTED = 130  # what a shell expects of a command that SIGINT ended


def train(cfg: DictConfig) -> float | None:
    """Carry out one point; return its main metric, or nothing when it failed."""
    config = door.to_run_config(cfg)
    door.enter(config.runtime.point.folder)
    from tunesweep.point import run

    return run(config).main_metric


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _words(words: list[str]) -> list[str]:
    """Return the words for Hydra: `-m` is implied, and meaningless beside another command such as --cfg."""
    sweep = ("-m", "--multirun")
    plain = [word for word in words if word not in sweep]
    if any(word.split("=")[0] in _OTHER_COMMANDS for word in plain):
        return plain
    return [sweep[1], *plain]  # as hydra.mode says, even where the configuration is wrong


def main() -> None:
    """Plan and carry out the command line; every error is one sentence and a status that is not zero."""
    signal.signal(signal.SIGTERM, _interrupt)  # a batch system's time limit is met like Ctrl-C
    traceback_wanted = bool(os.environ.get(FULL_ERROR))
    sys.argv[1:] = _words(sys.argv[1:])
    try:
        with _whole_errors():
            _carry_out()
    except KeyboardInterrupt as stop:
        said = f"{stop}; what was finished is kept" if str(stop) else _STOPPED
        print(f"\n{said}", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except EXPECTED as error:
        if traceback_wanted:
            raise
        sys.exit(f"error: {explain(error)}")


def _carry_out() -> None:
    door.check_words(word for word in sys.argv[1:] if "=" in word and not word.startswith("-"))
    command = hydra.main(version_base="1.3", config_path=str(door.conf_folder()), config_name="config")
    command(train)()


@contextmanager
def _whole_errors() -> Iterator[None]:
    """Let Hydra pass errors on whole, which become a sentence here; what this process runs later may ask."""
    before = os.environ.get(FULL_ERROR)
    os.environ[FULL_ERROR] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[FULL_ERROR]
        else:
            os.environ[FULL_ERROR] = before


if __name__ == "__main__":
    main()
