"""What the libraries below say about themselves, kept from standing between our lines."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_LOGGERS = ("pytorch_lightning", "lightning.pytorch", "bitsandbytes", "transformers", "datasets", "peft")
_WARNINGS = (
    r".*does not have many workers.*",  # one process feeds a small in-memory set faster than workers would
    r".*GPU available but not used.*",  # runtime.device=cpu was asked for
    r".*gradient_checkpointing\w*. is deprecated.*",  # the newer name is not in all versions we allow
    r".*your dataloader is not resumable.*",  # it is: batches that are done are passed over by index
    r".*isinstance\(treespec, LeafSpec\).*",  # between Lightning and torch
)


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Let libraries speak only of errors, and drop the warnings named above."""
    import datasets
    import transformers  # sets its own level when it is imported

    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    with warnings.catch_warnings():
        for message in _WARNINGS:
            warnings.filterwarnings("ignore", message=message)
        yield
