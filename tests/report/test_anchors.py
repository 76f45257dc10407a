"""Published numbers beside the very configuration they are of, and beside no other."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml

from tunesweep import door
from tunesweep.report import anchors
from tunesweep.report.columns import column_names
from tunesweep.report.rows import Row
from tunesweep.report.table import table

FULL = {"train": 392_702, "select": 9_832, "test": 9_815}


@pytest.fixture
def mnli(record):
    """A run of the configuration of the LoRA paper."""

    def make(right: float = 0.875, rows: dict[str, int] = FULL, adapter: int = 294_912, **changes):
        settings = {
            "model__name": "roberta_base",
            "dataset__name": "multi_nli",
            "lora__targets": "query_value",
        }
        found = record("m1", right=0, **(settings | changes))
        found.metrics["test"] = {"accuracy": right, "n": rows["test"]}
        found.data["rows"] = rows
        found.parameters["adapter"] = adapter
        return found

    return make


def remarks(record) -> list[str]:
    return list(anchors.remarks([Row.from_record(record)]))


def test_a_row_of_the_same_configuration_is_told_whether_it_agrees(mnli):
    (said,) = remarks(mnli())
    assert said == (
        "lora r=8: published accuracy 87.5 ± 0.3 % (LoRA (arXiv:2106.09685), table 2, which counts matched "
        "and mismatched examples): this row's 95 % interval holds it."
    )
    (said,) = remarks(mnli(right=0.80))
    assert said.endswith("interval does not hold it.")


@pytest.mark.parametrize(
    "changes",
    [
        {"model__name": "roberta_large", "adapter": 1},
        {"model__name": "minilm"},
        {"dataset__name": "snli"},
        {"rows": FULL | {"train": 8_999}},
        {"rows": FULL | {"train": 353_432}},
        {"rows": FULL | {"test": 1_000}},
        {"lora__r": 16},
        {"lora__targets": "all_linear"},
        {"method__name": "dora"},
        {"readout__name": "label_words"},
    ],
    ids=str,
)
def test_a_near_miss_is_told_nothing_of_that_score(mnli, changes):
    said = remarks(mnli(**changes))
    assert not [text for text in said if "87.5" in text]


def test_another_metric_is_no_match(mnli):
    found = mnli()
    found.metrics["test"] = {"macro_f1": 0.875, "n": 9815}
    found.metrics["protocol"]["metric"] = "macro_f1"
    assert remarks(found) == []


def test_counts_of_parameters_are_exact(mnli):
    large = {"model__name": "roberta_large", "rows": {"train": 100, "select": 10, "test": 10}}
    (said,) = remarks(mnli(adapter=786_432, **large))
    assert said.endswith("(LoRA (arXiv:2106.09685), table 2, 0.8 M): this row has as many.")
    assert "published trainable parameters (adapter) 786,432" in said
    (said,) = remarks(mnli(adapter=786_433, **large))
    assert said.endswith("this row has 786,433.")
    (said,) = remarks(mnli(adapter=4_194_304, **(large | {"model__name": "llama2_7b"})))
    assert said.endswith("this row has as many.")
    failed = mnli(**large)
    failed.parameters = {}
    assert remarks(failed) == []


PROTOCOL = "token, concatenated, context 2048, stride 2048, joiner '\\n\\n', BOS"


def perplexity_of(
    written, protocol=PROTOCOL, test="hub:Salesforce/wikitext/wikitext-2-raw-v1#test", **changes
):
    found = written(
        "w", "wikitext2", protocol, model__name="llama2_7b", method="zero_shot", r=None, **changes
    )
    found.config["dataset"]["test"] = test
    found.metrics["test"] |= {"perplexity": 5.5, "interval": [5.4, 5.6]}
    return found


def test_perplexities_match_by_their_whole_protocol(written):
    (said,) = remarks(perplexity_of(written))
    assert "published perplexity 5.47 (" in said
    assert said.endswith("interval holds it.")
    for other in (
        perplexity_of(written, PROTOCOL.replace("2048", "1024")),
        perplexity_of(written, PROTOCOL.replace("stride 2048", "stride 512")),
        perplexity_of(written, PROTOCOL.replace("BOS", "no BOS")),
        perplexity_of(written, PROTOCOL.replace("\\n\\n", "\\n")),
        perplexity_of(written, test="wiki.valid.raw"),
    ):
        assert remarks(other) == []


def test_a_row_without_an_interval_is_shown_its_score(written):
    found = perplexity_of(written)
    del found.metrics["test"]["interval"]
    (said,) = remarks(found)
    assert said.endswith("this row has 5.5 and no interval.")


def test_the_note_stands_under_the_block_of_its_row(mnli, record):
    rows = [Row.from_record(each) for each in (mnli(), record("a"))]
    rows[0] = replace(rows[0], measured=("other data", *rows[0].measured[1:]))
    mnli_block, other = table("s", rows).blocks
    assert any("87.5" in note for note in mnli_block.notes)
    assert not any("published" in note for note in other.notes)


def test_every_anchor_names_options_and_columns_that_there_are():
    folder = door.conf_folder()
    for anchor in anchors.published():
        for group in ("model", "method", "dataset"):
            if group in anchor.match:
                assert (folder / group / f"{anchor.match[group]}.yaml").is_file()
        assert anchor.column in column_names()
        assert {"model", "method"} <= anchor.match.keys()
        if anchor.column == "score":
            assert {"dataset", "metric"} <= anchor.match.keys()
        if anchor.match.get("metric") == "perplexity":
            assert "perplexity_of" in anchor.match
    test = yaml.safe_load((folder / "dataset" / "wikitext2.yaml").read_text())["test"]
    assert {a.match["dataset.test"] for a in anchors.published() if "dataset.test" in a.match} == {test}
