"""Data sets of the hub, without one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_files import config

from tunesweep.data import hub
from tunesweep.data.location import fingerprint
from tunesweep.data.readers import load, read
from tunesweep.errors import BadData


def test_a_hub_split_becomes_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])}
    )
    split = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [1, 0]}, features=features)
    asked: list[Any] = []
    monkeypatch.setattr(datasets, "load_dataset", lambda *args, **more: asked.append((args, more)) or split)
    chosen = config("hub:some/thing/part#train", revision="0" * 40)
    examples = read("train", str(chosen.train), chosen)
    assert examples.labels == ["pos", "neg"]
    assert asked == [(("some/thing", "part"), {"split": "train", "revision": "0" * 40})]


NLI = ["entailment", "neutral", "contradiction"]  # the order of conf/dataset/multi_nli.yaml


def nli(monkeypatch: pytest.MonkeyPatch, feature: Any, numbers: list[int]) -> Any:
    """Make the hub give a row for each number, the names being those of the feature."""
    import datasets

    texts = datasets.Value("string")
    split = datasets.Dataset.from_dict(
        {"premise": [f"p{n}" for n in numbers], "hypothesis": ["h"] * len(numbers), "label": numbers},
        features=datasets.Features({"premise": texts, "hypothesis": texts, "label": feature}),
    )
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: split)
    place = "hub:a/b#train"
    return config(place, test=place, text="premise", text_pair="hypothesis", labels=NLI, revision="0" * 40)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)], ids=["published order", "permuted"])
def test_classes_of_the_hub_are_matched_by_name(
    monkeypatch: pytest.MonkeyPatch, order: tuple[int, ...]
) -> None:
    import datasets

    names = [NLI[place] for place in order]
    splits = load(nli(monkeypatch, datasets.ClassLabel(names=names), [0, 1, 2] * 4), 0)
    assert splits.labels == NLI
    assert splits.test.labels == names * 4


@pytest.mark.parametrize("names", [["entailment", "neutral", "no"], None], ids=["another name", "no names"])
def test_other_classes_than_the_config_lists_are_refused(
    monkeypatch: pytest.MonkeyPatch, names: list[str] | None
) -> None:
    import datasets

    feature = datasets.Value("int64") if names is None else datasets.ClassLabel(names=names)
    with pytest.raises(BadData, match=r"dataset\.labels lacks '(no|0)'"):
        load(nli(monkeypatch, feature, [0, 1, 2] * 4), 0)


def test_rows_that_nobody_labelled_are_left_out_where_that_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    chosen = nli(monkeypatch, datasets.ClassLabel(names=NLI), [0, -1, 2])
    chosen.label_names = {name: name for name in NLI} | {"": ""}
    found = read("train", "hub:a/b#train", chosen)
    assert (found.ids, found.labels) == (["train-0", "train-2"], ["entailment", "contradiction"])


def test_only_the_columns_that_are_read_are_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    split = datasets.Dataset.from_dict({"text": ["a"], "parse": ["(a)"], "label": ["x"]})
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: split)
    place, commit = "hub:a/b#train", "0" * 40
    assert set(hub.columns(place, commit, {"text", "label"})) == {"text", "label"}
    assert set(hub.columns(place, commit, {"words", "label"})) == {"text", "parse", "label"}  # to say which


def test_hub_images_become_an_array(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [[[0, 255], [7, 9]], [[1, 2], [3, 4]]]
    monkeypatch.setattr(hub, "columns", lambda *_: {"image": cells, "label": ["x", "y"]})
    chosen = config("hub:a/b#train", modality="image")
    found = read("train", "hub:a/b#train", chosen)
    assert found.inputs.dtype == np.uint8
    assert found.inputs.tolist() == cells


def test_hub_rows_without_label_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["n"])}
    )
    split = datasets.Dataset.from_dict({"text": ["a"], "label": [-1]}, features=features)
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: split)
    with pytest.raises(BadData, match=r"row 0 .* no label"):
        read("train", "hub:a/b#train", config("hub:a/b#train", revision="0" * 40))


def test_no_network_for_a_hub_id_fails_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import datasets
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    asked: list[Any] = []
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: asked.append(1))  # tries for half a minute
    chosen = config("hub:nobody/offline-1#train")
    for ask in (lambda: load(chosen, 0), lambda: fingerprint(chosen, tmp_path)):
        with pytest.raises(BadData, match=r"connect once.*dataset\.train=PATH.*dataset\.folder=FOLDER"):
            ask()
    assert not asked


def test_a_downloaded_hub_id_needs_no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import huggingface_hub
    from huggingface_hub import constants

    class Unplugged:
        def dataset_info(self, *_: Any, **__: Any) -> None:
            raise ConnectionError("no route to host")

    monkeypatch.setattr(huggingface_hub, "HfApi", Unplugged)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    reference = tmp_path / "datasets--nobody--offline-2" / "refs" / "main"
    reference.parent.mkdir(parents=True)
    reference.write_text("c" * 40)
    assert hub.commit("nobody/offline-2", None) == "c" * 40
