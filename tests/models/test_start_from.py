"""A network that takes over another run's weights says what that run has written down."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from tunesweep.config import RunConfig
from tunesweep.errors import BadConfig, StorageError
from tunesweep.models.backbone import build_network
from tunesweep.models.readouts import Pixels, Readout
from tunesweep.models.reference import reference
from tunesweep.models.start import check_source, start_from
from tunesweep.point import run
from tunesweep.record import RunRecord
from tunesweep.store import Store
from workplace import FEW, at_work

DIGITS = (
    *("dataset=digits", "dataset.limit.train=200", "dataset.limit.test=60", "dataset.limit.select=30"),
    *("model=mlp", "model.hidden=[32,16]", "train.precision=fp32", "train.epochs=2", "train.lr=0.01"),
    "runtime.keep=all",
)
TEXTS = (*FEW, "dataset.limit.test=8", "train.precision=fp32", "train.lr=0.01", "runtime.keep=all")
Make = Callable[..., RunConfig]


@pytest.fixture
def digits(make_config: Make) -> Callable[..., RunConfig]:
    return lambda *words: make_config(*DIGITS, *words)


@pytest.fixture
def base(digits: Make) -> RunRecord:
    return carried_out(digits("method=full"))


def carried_out(config: RunConfig) -> RunRecord:
    record = run(config)
    assert record.status == "succeeded", record.failure
    return record


def started(config: RunConfig) -> tuple[Readout, np.ndarray]:
    """Return a fresh network after the start, and its probabilities on the test split."""
    with at_work(config) as work:
        torch.manual_seed(99)  # whatever is not taken over shows
        network = build_network(config, work.data, work.device)
        assert start_from(network, config, work.store, work.data.names) == []
        probabilities = torch.zeros(len(work.data.splits.test), len(work.data.names))
        with torch.no_grad():
            for batch in work.data.test_dataloader():
                probabilities[batch["index"]] = torch.softmax(network.eval()(batch), -1)
    return network, probabilities.numpy()


def written(config: RunConfig, record: RunRecord) -> np.ndarray:
    table = pd.read_parquet(Store(config.runtime.store).root / record.artefacts["predictions"])
    return table[[column for column in table if column.startswith("p:")]].to_numpy()


def file_of(config: RunConfig, record: RunRecord) -> str:
    return str(Store(config.runtime.store).path("adapters", record.run_id) / "trained.safetensors")


def test_a_whole_model_is_taken_over_to_the_bit(digits: Make, base: RunRecord) -> None:
    config = digits("method=lora", "lora.r=1", f"model.init_from={base.run_id}")
    network, found = started(config)
    saved = load_file(file_of(config, base))
    assert {n: p.tolist() for n, p in network.named_parameters()} == {n: t.tolist() for n, t in saved.items()}
    np.testing.assert_allclose(found, written(config, base), atol=1e-6)


@pytest.mark.parametrize("method", ["lora", "head_only"])
def test_what_changed_a_part_is_laid_over_what_it_started_from(
    digits: Make, base: RunRecord, method: str
) -> None:
    middle = carried_out(digits(f"method={method}", "lora.r=2", f"model.init_from={base.run_id}"))
    config = digits("method=full", f"model.init_from={middle.run_id}")
    _, found = started(config)
    expected = written(config, middle)
    assert np.abs(expected - written(config, base)).max() > 0.01  # the middle one has learned something
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_language_models_adapter_becomes_part_of_its_weights(make_config: Make) -> None:
    source = carried_out(make_config(*TEXTS, "method=lora", "lora.r=2"))
    config = make_config(*TEXTS, "method=full", f"model.init_from={source.run_id}")
    network, found = started(config)
    assert not [name for name, _ in network.named_parameters() if "lora" in name]
    np.testing.assert_allclose(found, written(config, source), atol=1e-5)


def test_a_head_for_other_classes_is_left_new(digits: Make, base: RunRecord) -> None:
    config = digits("method=full", f"model.init_from={base.run_id}")
    saved = load_file(file_of(config, base))
    with at_work(config) as work:
        for classes in (list("abcdefghij"), list("abc")):
            network = Pixels(reference(config.model, 8, len(classes)))
            head = network.body.get_parameter("classifier.weight").detach().clone()
            notes = start_from(network, config, work.store, classes)
            assert notes == [
                f"the head is new: run {base.run_id}, which this one starts from, has other classes"
            ]
            after = dict(network.named_parameters())
            assert torch.equal(after["body.classifier.weight"], head)
            assert all(torch.equal(after[n], t) for n, t in saved.items() if "classifier" not in n)


def test_an_adapter_for_other_classes_is_refused(digits: Make, base: RunRecord) -> None:
    middle = carried_out(digits("method=lora", f"model.init_from={base.run_id}"))
    config = digits("method=full", f"model.init_from={middle.run_id}")
    with at_work(config) as work, pytest.raises(BadConfig, match="has other classes than this run"):
        start_from(Pixels(reference(config.model, 8, 10)), config, work.store, list("abcdefghij"))


def test_tensors_that_the_network_has_not_are_named(digits: Make, base: RunRecord) -> None:
    config = digits("method=full", f"model.init_from={base.run_id}")
    with at_work(config) as work:
        network = Pixels(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10)))
        with pytest.raises(BadConfig, match=r"has 4 tensors that the network here has not \(body\.features"):
            start_from(network, config, work.store, work.data.names)


def test_a_run_on_another_architecture_is_refused(digits: Make, base: RunRecord) -> None:
    record = run(digits("method=full", "model.hidden=[32]", f"model.init_from={base.run_id}"))
    assert (record.failure or {})["class"] == "bad_config"
    assert "or of another architecture, than model=mlp here" in (record.failure or {})["message"]


def test_changed_weights_are_not_taken_for_those_of_the_run(digits: Make, base: RunRecord) -> None:
    config = digits("method=full", f"model.init_from={base.run_id}")
    state = load_file(file_of(config, base))
    save_file({name: tensor + 1 for name, tensor in state.items()}, file_of(config, base))
    with at_work(config) as work, pytest.raises(StorageError, match="has other content than when it was"):
        start_from(Pixels(reference(config.model, 8, 10)), config, work.store, work.data.names)


def test_a_cut_by_other_classes_is_another_cut(make_config: Make) -> None:
    """Splits keep the shares of the classes: rows scored by one label were learned by another."""
    words = ("model=random_bert", "dataset=files", "dataset.train=a.csv", "runtime.keep=all", "method=full")
    source, config = (make_config(*words, f"dataset.label={label}") for label in ("topic", "sentiment"))
    for each in (source, config):
        each.runtime.point.data_fingerprint = each.runtime.point.model_fingerprint = "the same"
    check_source(source, source)
    with pytest.raises(BadConfig, match="has learned from rows that are scored here"):
        check_source(config, source)
