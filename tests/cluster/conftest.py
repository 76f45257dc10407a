from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from launchers import Outcome, carry, ray_cluster

LAUNCHERS = ("joblib", "submitit_local", "ray")
MAIN_SWEEP = (
    *("method=lora,qlora", "lora.r=4,8,16", "train.epochs=1", "encoding.max_length=32"),
    *("dataset.limit.train=64", "dataset.limit.select=32", "dataset.limit.test=32"),
)


@pytest.fixture(scope="session")
def alone(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Outcome:
    """Carry out the main sweep, made small, in one process."""
    return carry(tmp_path_factory.mktemp("alone"), cache, [], *MAIN_SWEEP)


@pytest.fixture(scope="module", params=LAUNCHERS)
def launcher(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Return the words that choose a launcher, with two places to work; of Ray, two nodes."""
    words = [f"hydra/launcher={request.param}"]
    if request.param == "joblib":
        yield [*words, "hydra.launcher.n_jobs=2"]
    elif request.param == "submitit_local":
        yield words
    else:
        with ray_cluster(tmp_path_factory.mktemp("ray")) as address:
            place = f"hydra.launcher.ray.init.address='{address}'"
            options = [
                "+hydra.launcher.ray.init.object_store_memory=null",
                "+hydra.launcher.ray.remote.num_cpus=1",
            ]
            yield [*words, place, *options]
