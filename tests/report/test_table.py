from __future__ import annotations

import pytest

from tunesweep.report.rows import Row
from tunesweep.report.table import count, factors, group, significant, size, table

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
        *("min/epoch", "accuracy", "95 % interval (examples)", "memory", "on disk", "executor", "status"),
    ]
    assert block.title == "reviews · accuracy on test · n = 1,000 · chosen on select"
    expected = (
        "minilm lora 4 8 0.001 36,864 770 0.165 0.267 0.783 0.756–0.807 412 MB 331 kB in process succeeded"
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
    assert cells["status"] == "failed"
    assert "failed: lora r=8: diverged: loss is nan" in block.notes


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
    records = [record("a"), record("b", seeds__data=1), record("c", seeds__split=2), record("d")]
    for one, value in zip(records, "xxxy", strict=True):
        one.config["readout"]["data"] = value
    (block,) = build(records).blocks
    assert {"readout.data", "seeds.data", "split"} <= set(headers(block))


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
    alone = table("s", [Row.from_record(runs[0])]).blocks[0]
    assert "pixels kept" not in [column.header for column in alone.columns]
