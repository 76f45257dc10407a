"""What is measured against a fresh backbone: before training, after a merge, with the adapter off."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pytorch_lightning import seed_everything
from safetensors.torch import load_file
from sklearn.metrics import log_loss

import samples
from tunesweep import fresh
from tunesweep.config import RunConfig
from tunesweep.models.backbone import build_network
from tunesweep.point import run
from tunesweep.record import RunRecord
from tunesweep.store import Store
from tunesweep.tasks.classification import Classification
from tunesweep.tasks.task import Scored
from tunesweep.tasks.written import Instruction
from workplace import at_work, tiny

QUICK = ("train.epochs=1", "train.batch_size=8", "train.lr=0.01", "lora.r=2", "encoding.max_length=32")
Make = Callable[..., RunConfig]


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fresh, "_BEFORE", {})


@pytest.fixture
def point(make_config: Make, tmp_path: Path) -> Make:
    """A small random encoder on a few films."""
    return lambda *words: make_config(*tiny("random_bert"), *samples.films(tmp_path), *QUICK, *words)


def carried_out(config: RunConfig) -> RunRecord:
    record = run(config)
    assert record.status == "succeeded", record.failure
    return record


def plain(network: Any, rows: Any) -> np.ndarray:
    """Return probabilities [n, classes]: each row alone, without padding."""
    network.eval()
    with torch.no_grad():
        alone = [torch.tensor([ids]) for ids in rows["input_ids"]]
        logits = [network({"input_ids": i, "attention_mask": torch.ones_like(i)})[0] for i in alone]
    return torch.stack(logits).double().softmax(-1).numpy()


def test_before_is_what_the_bare_backbone_says(point):
    config = point("method=lora")
    record = carried_out(config)
    with at_work(config) as work:
        seed_everything(config.seeds.init, verbose=False)  # as the row's own head was drawn
        chances = plain(build_network(config, work.data, work.device), work.data.rows["test"])
        labels = work.data.test_answers.open()
    before = record.metrics["before"]
    assert before["n"] == len(labels) > 5
    assert before["accuracy"] == (chances.argmax(1) == labels).mean()
    assert before["log_loss"] == pytest.approx(log_loss(labels, chances), abs=1e-6)
    assert before["log_loss"] != pytest.approx(record.metrics["test"]["log_loss"], abs=1e-5)


def asked(configs: list[RunConfig]) -> int:
    """Return how many of these points had their bare backbone scored."""
    calls: list[RunConfig] = []
    for config in configs:
        config.runtime.point.model_fingerprint = config.runtime.point.model_fingerprint or "m"
        task: Any = SimpleNamespace(evaluate=lambda _, c=config: calls.append(c) or Scored({}))
        network: Any = None
        fresh.before(network, config, task)
    return len(calls)


@pytest.mark.parametrize(
    "words",
    [
        ["method=lora", "lora.r=4", "train.lr=1"],
        ["method=head_only", "train.epochs=9"],
        ["method=full", "train.batch_size=2", "train.weight_decay=0"],
        ["runtime.keep=all", "train.class_weights=balanced", "train.optimizer=adamw_8bit"],
    ],
)
def test_what_is_only_about_training_shares_a_backbone(make_config, words):
    assert asked([make_config("train.precision=fp32"), make_config("train.precision=fp32", *words)]) == 1


@pytest.mark.parametrize(
    "words",
    [
        ["seed=1"],
        ["seeds.split=1"],
        ["readout=linear"],
        ["readout=linear", "readout.pooling=mean"],
        ["train.precision=bf16"],
        ["method=qlora"],
        ["encoding.max_length=32"],
        ["dataset.limit.test=5"],
        ["dataset.label_names.fresh=other"],
        ["runtime.eval_batch_size=8"],
        ["runtime.attention=sdpa"],
        ["model.init_from=0123456789abcdef"],
        ["model=smollm2_135m"],
    ],
)
def test_what_can_change_its_score_does_not_share(make_config, words):
    assert asked([make_config("train.precision=fp32"), make_config("train.precision=fp32", *words)]) == 2


@pytest.mark.parametrize("kind", ["model_fingerprint", "data_fingerprint"])
def test_other_content_does_not_share(make_config, kind):
    one, other = make_config(), make_config()
    setattr(other.runtime.point, kind, "other")
    assert asked([one, other]) == 2


def test_only_so_many_are_remembered(make_config):
    first = make_config()
    others = [make_config(f"seed={seed}") for seed in range(1, fresh.REMEMBERED)]
    assert asked([first, *others, first]) == 1 + len(others)
    assert asked([make_config("seed=90"), first]) == 2  # the first one was the oldest
    assert len(fresh._BEFORE) == fresh.REMEMBERED


def right(n: int, of: int) -> Scored:
    """Return logits of two classes, right of class 0 so many times."""
    logits = np.zeros((of, 2), dtype=np.float32)
    logits[:n, 0], logits[n:, 1] = 1, 1
    return Scored({}, seen={"logits": logits})


@pytest.mark.parametrize(("before", "learned"), [(50, True), (82, True), (83, False), (95, False)])
def test_a_row_has_learned_when_its_interval_lies_above_what_was_before(make_config, before, learned):
    """Wilson's 95 % interval of 90 out of 100 begins at 0.8256."""
    data: Any = SimpleNamespace(names=["a", "b"])
    config, answers = make_config(), np.zeros(100, dtype=np.int64)
    task = Classification(config, data)
    row = task.judge(right(90, 100), answers)
    found = fresh.comparison(task, right(before, 100), row, answers, config)
    assert found["before"]["accuracy"] == before / 100
    assert found["learned"] is learned
    assert set(found) == {"before", "learned"}


def spoken(nll: list[float]) -> Scored:
    return Scored({}, {"text": ["x"] * len(nll)}, {"nll": np.array(nll), "count": np.ones(len(nll))})


@pytest.mark.parametrize(("before", "learned"), [(3.0, True), (2.05, False), (1.0, False)])
def test_a_perplexity_has_to_fall(make_config, tmp_path, before, learned):
    data: Any = SimpleNamespace(names=[])
    config, answers = make_config(*samples.sums(tmp_path)), ["x"] * 3
    task = Instruction(config, data)
    row = task.judge(spoken([1.9, 2.0, 2.1]), answers)
    found = fresh.comparison(task, spoken([before] * 3), row, answers, config)
    assert found["learned"] is learned
    one = task.judge(spoken([2.0]), ["x"])  # of one answer there is no interval, and no verdict
    assert "learned" not in fresh.comparison(task, spoken([3.0]), one, ["x"], config)
    far = fresh.comparison(task, spoken([800.0] * 3), row, answers, config)  # no float holds its perplexity
    assert (far["learned"], "perplexity" in far["before"]) == (True, False)


def merged_by_hand(network: Any, state: dict[str, torch.Tensor]) -> None:
    """Add (alpha / r) B A to what it belongs to, put the head in its place, and round all to 16 bits."""
    parameters = dict(network.body.named_parameters())
    for name, tensor in state.items():
        own = name.removeprefix("base_model.model.")
        if ".lora_A." in own:
            low = state[name.replace("lora_A", "lora_B")]
            parameters[own.replace("lora_A.", "")].data += 2 * low @ tensor
        elif ".lora_B." not in own:
            parameters[own].data.copy_(tensor)
    for parameter in parameters.values():
        parameter.data = parameter.data.bfloat16().float()


def test_the_cost_of_merging_is_that_of_a_merge_by_hand(point):
    config = point("method=lora", "train.epochs=3")
    record = carried_out(config)
    store, found = Store(config.runtime.store), record.integrity["merge"]
    said = pd.read_parquet(store.root / record.artefacts["predictions"])
    with at_work(config) as work:
        network = build_network(config, work.data, work.device)
        merged_by_hand(
            network, load_file(store.path("adapters", record.run_id) / "adapter_model.safetensors")
        )
        names, merged = work.data.names, plain(network, work.data.rows["test"])
    assert (found["n"], found["metric"]) == (len(said), "accuracy")
    change = np.abs(merged - said[[f"p:{name}" for name in names]].to_numpy()).max()
    assert 1e-6 < change < 0.05
    assert found["probability_change"] == pytest.approx(change, abs=1e-5)
    labels = np.array([names.index(label) for label in said["label"]])
    score = (merged.argmax(1) == labels).mean()
    assert found["score_change"] == pytest.approx(score - record.metrics["test"]["accuracy"])


@pytest.mark.parametrize("method", ["dora", "ia3", "head_only", "bitfit", "prompt_tuning"])
def test_what_merges_says_what_it_costs_and_nothing_else_does(point, method):
    config = point(f"method={method}", "dataset.limit.train=8")
    record = carried_out(config)
    assert ("merge" in record.integrity) is config.method.merges is (method in ("dora", "ia3"))
    assert abs(record.integrity.get("merge", {}).get("score_change", 0)) <= 0.2


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (("readout=head",), [32, 32, 256]),  # trained, loaded, merged: unmerged, the test split has said it
        (("readout=generate", "model=random_llama"), [32, 32, 256, 256]),  # the sample is of the select split
    ],
)
def test_the_sample_is_read_again_only_for_what_is_not_known(point, monkeypatch, words, asked):
    counts, look = [], fresh.look_again

    def counted(network: Any, data: Any, config: RunConfig, task: Any, count: int = fresh.RELOADED) -> Any:
        counts.append(count)
        return look(network, data, config, task, count)

    monkeypatch.setattr(fresh, "look_again", counted)
    carried_out(point("method=lora", "dataset.limit.train=8", *words))
    assert counts == asked


def test_a_merge_of_written_answers_is_told_by_perplexity(make_config, tmp_path):
    words = (*tiny("random_llama"), *samples.answers(tmp_path), *QUICK, "method=lora")
    record = carried_out(make_config(*words))
    found = record.integrity["merge"]
    assert (found["metric"], found["n"]) == ("perplexity", record.data["rows"]["select"])
    assert 0 < abs(found["score_change"]) < 0.05 * record.metrics["select"]["perplexity"]
    assert found["probability_change"] < 1e-3
