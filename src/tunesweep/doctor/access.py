"""What comes from elsewhere: the main sweep's weights and reviews, the hub, W&B."""

from __future__ import annotations

import netrc
import os
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlparse
from urllib.request import Request, urlopen

from tunesweep.doctor.finding import FAILS, NOTE, OK, Finding
from tunesweep.doctor.places import cache_folder

SECONDS = 3  # for the hub to answer
SERVICE = "https://api.wandb.ai"
UNSENT = ("offline", "disabled", "dryrun")


def inputs(store: Path) -> Iterator[Finding]:
    """Say whether the main sweep's model and data set are on this machine."""
    from tunesweep.composing import compose
    from tunesweep.data import location
    from tunesweep.errors import TunesweepError
    from tunesweep.models import sources

    try:
        config = compose(["method=qlora"])
    except TunesweepError as error:
        yield Finding("conf", FAILS, str(error))
        return
    model, data = config.model, config.dataset
    try:
        sources.weights_folder(model, cache_folder(store))
        yield Finding("weights", OK, f"model={model.name} is on this machine")
    except TunesweepError as error:
        yield Finding("weights", FAILS, str(error))
    try:
        location.resolve(str(data.train))
        yield Finding("data", OK, f"dataset={data.name} is on this machine")
    except TunesweepError as error:
        yield Finding("data", FAILS, str(error))


def hub() -> Finding:
    """Say whether models and data sets of the hub can be fetched."""
    from huggingface_hub import constants, get_token

    if constants.HF_HUB_OFFLINE:
        return Finding(
            "hub", NOTE, "HF_HUB_OFFLINE is set", "only what its cache holds can be used; unset it"
        )
    try:
        urlopen(Request(constants.ENDPOINT, method="HEAD"), timeout=SECONDS).close()
    except HTTPError:  # it has answered
        pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        remedy = "models of packages and folders work; for others connect once, or set model.source=FOLDER"
        return Finding("hub", NOTE, f"{constants.ENDPOINT} does not answer ({reason})", remedy)
    signed = "a token is stored" if get_token() else "no token is stored; gated models need hf auth login"
    return Finding("hub", OK, f"{constants.ENDPOINT} answers, {signed}")


def wandb() -> Finding:
    """Say whether runs can be sent to W&B; by default they are written to files."""
    try:
        version = metadata.version("wandb")
    except metadata.PackageNotFoundError:
        return Finding("wandb", NOTE, "W&B is not installed, so runs are not mirrored", "pip install wandb")
    mode = os.environ.get("WANDB_MODE", "")
    if mode in UNSENT:
        return Finding("wandb", OK, f"{version}, and WANDB_MODE={mode} keeps runs from being sent")
    if _has_key():
        return Finding("wandb", OK, f"{version}, a key is stored: runtime=online sends runs")
    found = f"{version}, no key is stored: runs are written to files; for runtime=online, wandb login"
    return Finding("wandb", OK, found)


def _has_key() -> bool:
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlparse(os.environ.get("WANDB_BASE_URL", SERVICE)).hostname or ""
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
