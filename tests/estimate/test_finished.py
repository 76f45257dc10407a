"""What finished runs say of one to come, and when they say nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tunesweep import identity
from tunesweep.config import RunConfig
from tunesweep.estimate.finished import Finished
from tunesweep.hardware import device_name
from tunesweep.record import RunRecord, draft

Make = Callable[..., RunConfig]
# 60,000 tokens an epoch; 3 minutes of which 2 x 0.5 are training.
COST = {"tokens_per_s": 2000.0, "minutes_per_epoch": 0.5, "epochs": 2, "minutes": 3.0}


def made(config: RunConfig) -> RunConfig:
    identity.identify(config)
    return config


def finished(config: RunConfig, **cost: Any) -> RunRecord:
    record = draft(made(config))
    record.status = "succeeded"
    record.cost = COST | {"predicted": {"tokens": 57}} | cost
    record.provenance = {
        "device": device_name(config.runtime.device),
        "model_fingerprint": config.runtime.point.model_fingerprint,
    }
    record.data = {"fingerprint": config.runtime.point.data_fingerprint}
    record.metrics = {"test": {"n": 1000}}
    return record


def test_minutes_are_tokens_over_speed_and_the_rest_as_it_was(make_config: Make) -> None:
    known = Finished([finished(make_config("method=lora", "lora.r=4"))])
    assert known.minutes(made(make_config("method=lora", "lora.r=8"))) == pytest.approx(3.0)
    assert known.minutes(made(make_config("method=lora", "train.epochs=6"))) == pytest.approx(2 + 6 * 0.5)


def test_the_most_alike_runs_say_the_speed(make_config: Make) -> None:
    fast = finished(make_config("method=lora", "lora.r=4", "train.batch_size=64"), tokens_per_s=4000.0)
    fast.cost |= {"minutes_per_epoch": 0.25, "minutes": 2.5}
    known = Finished([finished(make_config("method=lora", "lora.r=4")), fast])
    wanted = made(make_config("method=lora", "lora.r=8", "train.batch_size=64"))
    assert known.minutes(wanted) == pytest.approx(2.5)


def test_tokens_may_be_known_from_another_method(make_config: Make) -> None:
    lora = finished(make_config("method=lora"), tokens_per_s=4000.0, minutes_per_epoch=0.25)
    other = finished(make_config("method=full", "dataset.limit.train=100"))
    full = made(make_config("method=full"))
    assert Finished([lora]).minutes(full) is None
    assert Finished([lora, other]).minutes(full) == pytest.approx(2 + 2 * 0.5)


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record.provenance.update(device="another"),
        lambda record: record.runtime.update(executor="joblib"),
        lambda record: record.runtime.update(threads=7),
        lambda record: record.data.update(fingerprint="another"),
        lambda record: record.cost.pop("tokens_per_s"),
        lambda record: setattr(record, "status", "failed"),
    ],
)
def test_another_device_way_or_text_says_nothing(
    change: Callable[[RunRecord], Any], make_config: Make
) -> None:
    record = finished(make_config("method=lora"))
    change(record)
    assert Finished([record]).minutes(made(make_config("method=lora"))) is None


def test_lengths_are_those_of_the_same_data_and_encoding(make_config: Make) -> None:
    known = Finished([finished(make_config("method=lora"))])
    assert known.longest(made(make_config("method=full"))) == 57
    assert known.longest(made(make_config("method=full", "encoding.max_length=64"))) is None
    assert known.scored(made(make_config("method=full"))) == 1000
