"""Lines of Python that the documentation shows do what it says, and records hold the values that it names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from documented_files import FILES
from documented_pages import PAGES, blocks
from tunesweep.config import RunConfig
from tunesweep.data.readers import load
from tunesweep.point import run

# Three tokens are fewer than a text of mine.csv has: a snippet that cut none would give other numbers.
SHORT = ["dataset.train=mine.csv", "dataset.text=review", "dataset.label=stars", "encoding.max_length=3"]
WHOLE = SHORT[:-1]
PAIRS = ["dataset.train=pairs.jsonl", "dataset.text=premise", "dataset.text_pair=hypothesis", "encoding=pair"]
SNIPPETS = {
    "peft": (["method=lora", *WHOLE], "PeftModel.from_pretrained(model,"),
    "pair": (["method=lora", *PAIRS], "PeftModel.from_pretrained(model,"),
    "safetensors": (["method=bitfit", *SHORT], "trained.safetensors"),
    "linear": (["method=lora", "readout=linear", *SHORT], "head.safetensors"),
}


@pytest.mark.parametrize("kind", SNIPPETS)
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # a snippet may be short
@pytest.mark.filterwarnings(
    "ignore:.is_gradient_checkpointing. is deprecated:FutureWarning"
)  # PEFT's own call
def test_the_lines_that_load_an_adapter_give_the_predictions_of_the_run(
    kind: str, make_config: Any, folder: Path
) -> None:
    options, mark = SNIPPETS[kind]
    budget = ["train=fp32", "train.epochs=1", "train.batch_size=8", "train.lr=1e-2"]
    config = make_config("dataset=files", *options, *budget)
    record = run(config)
    assert record.status == "succeeded", record.failure
    table = pd.read_parquet(Path(config.runtime.store) / record.artefacts["predictions"])
    scope = {"store": config.runtime.store, "run": record.run_id, **scored(config, list(table["id"]))}
    exec(lines_with("find_spec("), scope)
    exec(for_pairs(lines_with(mark)) if kind == "pair" else lines_with(mark), scope)
    probability = scope["logits"].softmax(-1).numpy()
    columns = [f"p:{name}" for name in record.data["labels"]]
    assert probability == pytest.approx(table[columns].to_numpy(), abs=1e-5)


def lines_with(mark: str) -> str:
    """Return the lines of Python on the page of records that have a mark."""
    return next(block for page, block in blocks("python") if mark in block and page == "docs/records.md")


def for_pairs(snippet: str) -> str:
    """Change a snippet as the page says."""
    said = r"For pairs of texts, write `(.+?)` where the lines say `(.+?)`"
    ours, theirs = re.search(said, PAGES["docs/records.md"]).groups()  # type: ignore[union-attr]
    assert theirs in snippet
    return snippet.replace(theirs, ours)


def scored(config: RunConfig, ids: list[str]) -> dict[str, list[str]]:
    """Return the scored inputs in the order of these ids, under the names that the snippets have for them."""
    test = load(config.dataset, config.seeds.split).test
    found = dict(zip(test.ids, test.inputs, strict=True))
    if config.dataset.text_pair is None:
        return {"texts": [found[name] for name in ids]}
    return {name: [found[key][place] for key in ids] for place, name in enumerate(("premises", "hypotheses"))}


def test_the_lines_that_join_predictions_to_texts_find_each_text(
    make_config: Any, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("mine.csv").write_text(str(FILES["ratings.csv"]))  # of 40 rows "text 0" to "text 39"
    names = ["+dataset.label_names.1=bad", "+dataset.label_names.2=bad", "+dataset.label_names.5=good"]
    left_out = [*names, '+dataset.label_names.3=""', "dataset.limit.test=4"]
    config = make_config("dataset=files", *WHOLE, *left_out)
    test = load(config.dataset, config.seeds.split).test
    Path("predictions").mkdir()
    pd.DataFrame({"id": test.ids}).to_parquet("predictions/one.parquet")
    exec(lines_with("keep_default_na"), {"store": folder, "run": "one"})
    shown = re.findall(r"(train-\d+)\s+(text \d+)$", capsys.readouterr().out, re.MULTILINE)
    assert shown == list(zip(test.ids, test.inputs, strict=True))
    assert len(shown) == 4


def test_the_expected_noise_is_what_transformers_says() -> None:
    from transformers import AutoModelForSequenceClassification

    scope: dict[str, Any] = {}
    exec(lines_with("find_spec("), scope)
    _, said = AutoModelForSequenceClassification.from_pretrained(scope["base"], output_loading_info=True)
    missing = re.findall(r"`(classifier\.\w+)`", PAGES["docs/records.md"])
    assert set(missing) == set(said["missing_keys"])


def test_the_lines_that_compare_two_runs_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "predictions").mkdir()
    ids, label = ["a", "b", "c", "d"], ["x", "y", "x", "y"]
    for name, prediction in (("one", ["x", "y", "x", "x"]), ("two", ["y", "x", "y", "y"])):
        rows = pd.DataFrame({"id": ids, "label": label, "prediction": prediction})
        rows.to_parquet(tmp_path / "predictions" / f"{name}.parquet")
    snippet = next(block for _, block in blocks("python") if "mcnemar" in block)
    exec(snippet, {"store": tmp_path, "runs": ["one", "two"]})
    # Three only the first got right, one only the second: p = 2 * (1 + 4) / 2^4.
    assert "b=3, c=1, p=0.625" in capsys.readouterr().out


def test_integrity_page_names_every_value_of_a_record(make_config: Any, folder: Path) -> None:
    words = ("train.epochs=1", "train.lr=1e-2", "train.precision=bf16")  # checked in 32 bits as well
    record = run(make_config("dataset=files", *WHOLE, *words))
    assert record.status == "succeeded", record.failure
    listed = PAGES["docs/integrity.md"].split("The values are in the record")[1].split("A key is absent")[0]
    assert set(re.findall(r"`(\w+)`", listed)) - {"integrity"} == set(record.integrity)
