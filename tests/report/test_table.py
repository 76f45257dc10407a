from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tunesweep.errors import BadConfig
from tunesweep.report.columns import count, significant, size
from tunesweep.report.factors import factors
from tunesweep.report.rows import Row
from tunesweep.report.table import group, table

row = Row.from_record


def headers(block):
    return [column.header for column in block.columns]


def build(records, **more):
    return table("s1", [row(record) for record in records], **more)


def test_rows_that_agree_share_a_block_with_all_columns(record):
    records = [record(f"{method}{r}", method, r) for method in ("lora", "qlora") for r in (4, 8, 16)]
    (block,) = build(records).blocks
    assert headers(block) == [
        *("model", "method", "r", "alpha", "lr", "trainable (adapter)", "trainable (head)", "trainable %"),
        *("min/epoch", "accuracy", "95 % interval (examples)", "before training", "memory", "on disk"),
        *("executor", "status"),
    ]
    assert block.title == "reviews · accuracy on test · n = 1,000 · chosen on select"
    expected = (
        "minilm lora 4 8 0.001 36,864 770 0.165 0.267 0.783 0.756–0.807 – 412 MB 331 kB in process succeeded"
    )
    assert " ".join(column.cell(block.rows[0]) for column in block.columns) == expected


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("data", "fingerprint", "d2"),
        ("data", "scored_ids", "i2"),
        ("data", "labels", ["bad", "good"]),
        ("protocol", "metric", "macro_f1"),
        ("protocol", "chosen_on", "test"),
    ],
)
def test_rows_measured_otherwise_stand_apart(record, part, key, value):
    other = record("b")
    (other.metrics["protocol"] if part == "protocol" else other.data)[key] = value
    result = build([record("a"), other])
    assert [len(block.rows) for block in result.blocks] == [1, 1]
    assert len({block.title for block in result.blocks}) == 2
    assert any("do not compare" in note for note in result.notes)


def test_the_order_of_labels_is_no_difference(record):
    other = record("b")
    other.data["labels"] = ["rotten", "fresh"]
    assert len(build([record("a"), other]).blocks) == 1


def test_a_failed_row_joins_the_only_block_of_its_data_set(record, failed):
    rows = [row(record("a")), row(failed(record("b"))), row(failed(record("c", dataset__name="trec")))]
    assert [[one["run_id"] for one in members] for members in group(rows)] == [["a", "b"], ["c"]]


def test_a_failed_row_stands_alone_between_two_blocks(record, failed):
    other = record("b")
    other.data["scored_ids"] = "i2"
    rows = [row(record("a")), row(failed(record("c"))), row(other)]
    assert [[one["run_id"] for one in members] for members in group(rows)] == [["a"], ["c"], ["b"]]


def test_a_failed_row_shows_dashes_and_its_reason(record, failed):
    (block,) = build([record("a"), failed(record("b"), "loss\nis nan")]).blocks
    cells = {column.key: column.cell(block.rows[1]) for column in block.columns}
    assert {cells[key] for key in ("score", "low", "share", "memory_bytes", "adapter") if key in cells} == {
        "–"
    }
    assert cells["outcome"] == "failed"
    assert "failed: lora r=8: diverged: loss is nan" in block.notes


def test_a_number_of_examples_that_is_not_known_costs_no_table(record):
    other = record("a")
    del other.metrics["test"]["n"]
    assert build([other]).blocks[0].title == "reviews · accuracy on test · n = unknown · chosen on select"


def test_settings_that_differ_are_columns(record):
    changed = record("b", train__epochs=3, seed=1, dataset__limit__train=100, encoding__name="pair")
    (block,) = build([record("a"), changed]).blocks
    assert headers(block)[5:9] == ["limit.train", "encoding", "epochs", "seed"]


def test_settings_that_method_rank_or_seed_imply_are_not(record):
    records = [record("a", "lora", 4), record("b", "qlora", 8), record("c", "full", None)]
    records[1].config["seeds"] |= {"init": 1, "data": 1}
    records[1].config["seed"] = 1
    assert factors([row(one) for one in records]) == ["seed"]


def test_an_implied_setting_that_is_swept_is_a_column(record):
    records = [record("a"), record("b", model__dtype="bfloat16"), record("c", seeds__data=1)]
    assert factors([row(one) for one in records]) == ["model.dtype", "seeds.data"]


def test_a_setting_that_others_do_not_have_is_no_difference(record):
    rows = [row(record("a", lora__dropout=0.1)), row(record("b", "full", None))]
    assert factors(rows) == []
    assert factors([*rows, row(record("c"))]) == ["lora.dropout"]


def test_ambiguous_headers_keep_their_group(record):
    records = [record("a"), record("b"), record("c", seeds__split=2), record("d")]
    for one, value, other in zip(records, "xxxy", "xyxx", strict=True):
        one.config["readout"]["data"], one.config["model"]["data"] = value, other
    (block,) = build(records).blocks
    assert {"readout.data", "model.data", "split"} <= set(headers(block))


def test_a_line_break_in_a_setting_stays_within_its_cell(record):
    (block,) = build([record("a"), record("b", readout__prompt="{text}\nAnswer:")]).blocks
    column = next(column for column in block.columns if column.header == "prompt")
    assert column.cell(block.rows[1]) == "{text}\\nAnswer:"


def test_one_rate_for_all_methods_is_called_untuned(record):
    records = [record("a", "lora"), record("b", "qlora")]
    assert not any("untuned" in note for note in build(records).blocks[0].notes)
    for one in records:
        one.runtime["lr_by_hand"] = True
    assert any("One learning rate (0.001)" in note for note in build(records).blocks[0].notes)
    assert not any("untuned" in note for note in build(records[:1]).blocks[0].notes)
    records[1].config["train"]["lr"] = 1e-4
    assert not any("untuned" in note for note in build(records).blocks[0].notes)


def test_encodings_with_equal_ids_are_named(record):
    records = [record(name, encoding__name=name) for name in ("flat", "rows", "base64")]
    assert not any("identical" in note for note in build(records).blocks[0].notes)
    records[1].encoding["ids_fingerprint"] = records[0].encoding["ids_fingerprint"]
    (note,) = [note for note in build(records).blocks[0].notes if "identical" in note]
    assert "flat, rows give identical token ids" in note
    records[1].encoding["tokenizer_fingerprint"] = "k2"
    assert not any("identical" in note for note in build(records).blocks[0].notes)


def test_warnings_are_said_once_with_their_number(record):
    records = [record("a"), record("b"), record("c")]
    records[0].warnings = records[1].warnings = ["labels permuted?"]
    assert "labels permuted? (2 of 3 rows)" in build(records).blocks[0].notes


def test_duplicates_and_unreadable_files_are_remarked(record):
    notes = build([record("a")], duplicates=2, problems=["x.json is\nbroken"]).notes
    assert notes == ["Points dropped because they were the same as another: 2.", "x.json is broken"]


@pytest.mark.parametrize(
    ("function", "value", "text"),
    [
        (significant, 0, "0"),
        (significant, 0.0012345, "0.00123"),
        (significant, 1.5, "1.50"),
        (significant, 1234.5, "1,234"),
        (count, 999_999, "999,999"),
        (count, 22_713_216, "22.7 M"),
        (count, 6_738_415_616, "6.74 B"),
        (size, 0, "0 B"),
        (size, 331_234, "331 kB"),
        (size, 1_770_000_000, "1.77 GB"),
    ],
)
def test_numbers_are_short(function, value, text):
    assert function(value) == text


def test_encodings_are_compared_by_what_is_left_after_the_tokenizer(record):
    runs = [record(name, encoding__name=name) for name in ("pixels_flat", "base64_flat")]
    runs[0].encoding |= {"tokens_mean": 66.0, "truncated_share": 0.0, "kept_pixels": 1.0}
    runs[1].encoding |= {"tokens_mean": 50.4, "truncated_share": 0.25, "kept_pixels": 0.0}
    block = table("s", [Row.from_record(run) for run in runs]).blocks[0]
    shown = {column.header: [column.cell(row) for row in block.rows] for column in block.columns}
    assert (shown["tokens"], shown["cut"], shown["pixels kept"]) == (
        ["66", "50"],
        ["0.00", "0.25"],
        ["1.00", "0.00"],
    )
    assert "1-NN on pixels" not in shown  # of records that have none
    runs[1].encoding |= {"pixel_accuracy": 0.96, "kept_accuracy": 0.104}
    block = table("s", [Row.from_record(run) for run in runs]).blocks[0]
    shown = {column.header: [column.cell(row) for row in block.rows] for column in block.columns}
    assert (shown["1-NN on pixels"], shown["1-NN on what is kept"]) == (["–", "0.960"], ["–", "0.104"])
    alone = table("s", [Row.from_record(runs[0])]).blocks[0]
    assert "pixels kept" not in [column.header for column in alone.columns]


def cells(block, number=0):
    return {column.key: column.cell(block.rows[number]) for column in block.columns}


WANTED = ["label", "model", "score", "method", "r", "macro_f1", "unreadable", "bleu", "before"]


def test_an_experiment_has_its_own_columns_in_their_order(record):
    records = [record("a", r=4), record("b", r=8, train__epochs=3)]
    records[1].metrics["test"]["unreadable"] = 2
    (block,) = build(records, wanted=WANTED).blocks
    assert headers(block) == [
        *("approach", "model", "method", "r"),
        "epochs",  # in which rows differ, asked for or not
        *("accuracy", "macro F1", "unreadable", "before training", "status"),  # no row has a BLEU score
    ]
    assert [cells(block, number)["unreadable"] for number in (0, 1)] == ["–", "2"]
    assert cells(block)["macro_f1"] == "0.701"


def test_every_column_that_an_experiment_asks_for_is_one(record):
    folder = Path(__file__).parents[2] / "conf" / "experiment"
    asked = [yaml.safe_load(path.read_text()).get("report") for path in folder.glob("*.yaml")]
    named = [report["columns"] for report in asked if report]
    assert len(named) == 6
    for wanted in named:
        build([record("a")], wanted=wanted)


def test_an_unknown_column_is_refused_with_what_was_meant(record):
    with pytest.raises(
        BadConfig, match=r"report\.columns=methot is not an option: .*; did you mean 'method'"
    ):
        build([record("a")], wanted=["model", "methot"])


def test_what_was_written_is_compared_by_data_and_protocol(written):
    runs = [
        written("a", "wikitext2", "context 512, stride 512"),
        written("b", "wikitext2", "context 512, stride 512", lora__alpha=32),
        written("c", "wikitext2", "context 512, stride 256"),
        written("d", "alpaca", "tokens of the reference answer"),
    ]
    blocks = build(runs).blocks
    assert [[one["run_id"] for one in block.rows] for block in blocks] == [["a", "b"], ["c"], ["d"]]
    end = "perplexity on test · n = 230 · chosen on select"
    assert [block.title for block in blocks] == [
        f"wikitext2 · {end} · block 1",
        f"wikitext2 · {end} · block 2",
        f"alpaca · {end}",
    ]
    assert "Perplexity: context 512, stride 256." in blocks[1].notes
    assert any("(normal, of the mean loss)" in note for note in blocks[0].notes)
    shown = cells(blocks[0])
    assert (shown["score"], shown["interval"], shown["before"]) == ("21.46", "20.90–22.01", "30.25")
    assert (shown["word_perplexity"], shown["outcome"]) == ("1,234", "succeeded")


def test_blocks_of_two_models_are_told_apart_by_them(written):
    runs = [written("a", "wikitext2", "p"), written("b", "wikitext2", "p", "k2", model__name="gemma_2b")]
    titles = [block.title.rpartition(" · ")[2] for block in build(runs).blocks]
    assert titles == ["minilm", "gemma_2b"]


def test_a_row_that_did_not_learn_is_marked_in_the_table(record):
    runs = [record("a"), record("b")]
    for run, learned in zip(runs, (True, False), strict=True):
        run.metrics |= {"before": {"accuracy": 0.75}, "learned": learned}
    (block,) = build(runs).blocks
    assert [cells(block, number)["outcome"] for number in (0, 1)] == ["succeeded", "succeeded, not learned"]
    assert cells(block)["before"] == "0.750"
    assert sum("Not learned" in note for note in block.notes) == 1
    assert not any("Not learned" in note for note in build([record("a")]).blocks[0].notes)


def test_small_random_models_are_called_so_below_their_rows(record):
    runs = [record(name, model__name=name, model__source="random") for name in ("random_t5", "random_bert")]
    runs += [record("again", model__name="random_t5", model__source="random")]
    runs += [record("real", model__source="package:a/b")]
    notes = build(runs).blocks[0].notes
    said = [note for note in notes if "random model" in note]
    assert said == [
        f"{name} is a small random model, not pretrained." for name in ("random_t5", "random_bert")
    ]
