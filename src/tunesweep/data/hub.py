"""Data sets of the hub: their address, their commit, their columns."""

from __future__ import annotations

import functools
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

from tunesweep.errors import BadConfig, BadData

TIMEOUT = 5  # seconds; a sweep that cannot start must say so at once
REMEDY = "connect once, or name local files by dataset.train=PATH (images: dataset.folder=FOLDER)"


class HubSource(NamedTuple):
    """A split on the hub; a third part of the id is the name of a configuration."""

    id: str
    name: str | None
    split: str


def parse(location: str) -> HubSource:
    """Read `hub:OWNER/NAME#SPLIT` or `hub:OWNER/NAME/CONFIGURATION#SPLIT`."""
    found = re.fullmatch(r"hub:([\w.-]+(?:/[\w.-]+)?)(?:/([\w.-]+))?#(.+)", location)
    if not found:
        raise BadConfig(f"dataset.train={location} must read hub:OWNER/NAME#SPLIT")
    return HubSource(*found.groups())


@functools.cache
def commit(dataset_id: str, revision: str | None) -> str:
    """Return the commit that a hub id stands for now: asked on the hub, else the one last downloaded."""
    if revision and re.fullmatch("[0-9a-f]{40}", revision):
        return revision
    found = _online(dataset_id, revision) or _downloaded(dataset_id, revision)
    if not found:
        raise BadData(f"data set '{dataset_id}' is neither on this machine nor within reach: {REMEDY}")
    return found


def _online(dataset_id: str, revision: str | None) -> str | None:
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        HTTPError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    if constants.HF_HUB_OFFLINE:
        return None
    try:
        return str(HfApi().dataset_info(dataset_id, revision=revision, timeout=TIMEOUT).sha)
    except GatedRepoError:
        raise BadData(
            f"data set '{dataset_id}' is gated: give consent on its page, then hf auth login"
        ) from None
    except (RepositoryNotFoundError, HFValidationError):
        raise BadData(f"data set '{dataset_id}' does not exist on the hub: check owner and name") from None
    except RevisionNotFoundError:
        raise BadData(f"dataset.revision={revision} is not in '{dataset_id}': null takes main") from None
    except (OSError, HTTPError):
        return None  # no network: what was downloaded before may do


def _downloaded(dataset_id: str, revision: str | None) -> str | None:
    from huggingface_hub import constants

    folder = "datasets--" + dataset_id.replace("/", "--")
    reference = Path(constants.HF_HUB_CACHE) / folder / "refs" / (revision or "main")
    return reference.read_text().strip() if reference.is_file() else None


def columns(location: str, revision: str | None, wanted: Collection[str] = ()) -> dict[str, list[Any]]:
    """Return the wanted columns of a split, or all, if one is missing or none is named.

    Labels kept as numbers become names of classes.
    """
    source = parse(location)
    commit(source.id, revision)  # fails at once, where the library below would try for half a minute
    from datasets import load_dataset

    try:
        data = load_dataset(source.id, source.name, split=source.split, revision=revision)
        names = sorted(wanted) if wanted and set(wanted) <= set(data.column_names) else data.column_names
        found = {name: _named(list(data[name]), data.features[name]) for name in names}
    except ImportError as error:
        raise BadData(f"{location} cannot be decoded: {_missing(error)}") from None
    except Exception as error:  # its failures share no class
        reason = " ".join(str(error).split())
        raise BadData(f"{location} cannot be loaded: {reason}; {REMEDY}") from None
    if not any(found.values()):
        raise BadData(f"{location} has no rows: expected at least two classes of them")
    return found


def _missing(error: ImportError) -> str:
    reason = str(error).rstrip(".")
    if "Pillow" in reason:
        return f"{reason}; pip install pillow, or name local IDX files by dataset.folder=FOLDER"
    return f"{reason}; install that package"


def _named(values: list[Any], feature: Any) -> list[Any]:
    """Turn class numbers into class names; -1 is how the hub marks a missing label."""
    names = getattr(feature, "names", None)
    if names is None:
        return values
    return [None if value is None or value < 0 else names[value] for value in values]
