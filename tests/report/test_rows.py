from __future__ import annotations

from typing import Any

import pytest
from scipy.stats import binomtest

from tunesweep.errors import BadConfig, StorageError
from tunesweep.report.fields import flatten, one_line
from tunesweep.report.rows import Row, Scope, find_sweep, program, select
from tunesweep.report.seeds import merge
from tunesweep.report.where import narrow
from tunesweep.store import Store

row = Row.from_record


def test_a_row_takes_its_numbers_from_the_record(record):
    found = row(record("a", r=4, right=757))
    assert (found["model"], found["method"], found["r"], found["alpha"], found["lr"]) == (
        "minilm",
        "lora",
        4,
        8,
        1e-3,
    )
    assert (found["adapter"], found["head"], found["trainable"]) == (36_864, 770, 37_634)
    assert found["share"] == pytest.approx(37_634 / 22_787_330 * 100)
    assert (found["score"], found["n"], found["split"], found["chosen_on"]) == (0.757, 1000, "test", "select")
    expected = binomtest(757, 1000).proportion_ci(method="wilson")
    assert (found["low"], found["high"]) == pytest.approx((expected.low, expected.high))


def test_a_method_without_rank_has_none(record):
    found = row(record("a", "full", None))
    assert found["r"] is None
    assert found["alpha"] is None


def test_what_was_not_measured_is_none_not_a_number(record, failed):
    broken = failed(record("a"))
    broken.cost = {"memory_bytes": float("nan"), "minutes_per_epoch": "soon"}
    found = row(broken)
    missing = ("score", "low", "n", "memory_bytes", "minutes_per_epoch", "share", "disk_bytes")
    assert {key: found[key] for key in missing} == dict.fromkeys(missing)
    assert (found["failure_class"], found["failure"]) == ("diverged", "the loss is nan")
    assert found.measured is None


def test_another_metric_than_accuracy_has_no_binomial_interval(record):
    other = record("a")
    other.metrics["protocol"]["metric"] = "macro_f1"
    assert (row(other)["score"], row(other)["low"]) == (0.7012345, None)


def test_an_interval_of_the_record_is_taken_as_it_is(written):
    found = row(written("a", "wikitext2", "context 512"))
    assert (found["score"], found["interval"], found["n"]) == (21.4567, (20.9, 22.0123), 230)
    assert found["perplexity_of"] == "context 512"
    assert found.measured  # no classes are no gap


def test_an_interval_that_is_none_is_not_guessed(written):
    for odd in ([1.0], [1.0, float("nan")], "1-2", None):
        one = written("a", "wikitext2", "context 512")
        one.metrics["test"]["interval"] = odd
        assert (row(one)["low"], row(one)["high"], row(one)["interval"]) == (None, None, None)


@pytest.mark.parametrize(
    ("learned", "status", "shown"),
    [
        (True, "succeeded", "succeeded"),
        (False, "succeeded", "succeeded, not learned"),
        (None, "succeeded", "succeeded"),
        (None, "failed", "failed"),
    ],
)
def test_a_row_that_did_not_learn_says_so(record, learned, status, shown):
    one = record("a")
    one.status = status
    one.metrics |= {"before": {"accuracy": 0.5}} | ({} if learned is None else {"learned": learned})
    assert (row(one)["outcome"], row(one)["before"], row(one)["learned"]) == (shown, 0.5, learned)


def test_the_score_before_training_is_that_of_the_same_metric(record):
    one = record("a")
    one.metrics |= {"before": {"accuracy": 0.25, "macro_f1": 0.1}}
    assert row(one)["before"] == 0.25
    one.metrics["protocol"]["metric"] = "macro_f1"
    assert row(one)["before"] == 0.1


def test_training_takes_its_epochs_and_an_adapter_is_a_share_of_its_base(record):
    one = record("a")
    one.cost["epochs"] = 3
    assert row(one)["training_minutes"] == pytest.approx(3 * 0.2671234)
    base = 22_787_330 - 73_728
    assert row(one)["base_share"] == pytest.approx(100 * 73_728 / base)
    one.cost["epochs"] = 0
    assert row(one)["training_minutes"] is None
    one.parameters = {}
    assert row(one)["base_share"] is None


def test_a_row_bears_the_labels_of_its_blocks(store, fill, record):
    points = {"a": {"name": "x", "labels": ["base", "lora"]}, "b": {"name": "y", "labels": []}}
    fill(store, [record("a"), record("b")], points=points)
    assert [one["label"] for one in select(store, Scope())[1]] == ["base, lora", None]


def test_flatten_keeps_keys_dotted_and_leaves_the_runtime_out():
    nested = {"a": {"b": [1, 2], "c": {"d": None}}, "runtime": {"device": "cpu"}, "seed": 3}
    assert flatten(nested) == {"a.b": "[1, 2]", "a.c.d": None, "seed": 3}


def test_one_line_drops_what_a_terminal_obeys():
    assert one_line("first\n  second\x1b[31m\u202ered") == "first second[31mred"


def test_the_last_sweep_is_shown_in_the_order_of_its_members(store, fill, record):
    fill(store, [record("old")], "s1")
    fill(store, [record("b"), record("a")], "s2", started="2026-02-01T00:00:00+00:00", duplicates=2)
    name, rows, sweep = select(store, Scope())
    assert (name, [one["run_id"] for one in rows], sweep["duplicates"]) == ("s2", ["b", "a"], 2)
    assert select(store, Scope(sweep="s1"))[0] == "s1"


def test_all_runs_are_sorted_by_model_method_and_rank(store, record):
    kinds = [("d", "qlora", 4), ("c", "lora", 16), ("b", "lora", 4), ("a", "full", None)]
    for run_id, method, r in kinds:
        store.put(record(run_id, method, r))
    assert [one["run_id"] for one in select(store, Scope(all=True))[1]] == ["a", "b", "c", "d"]


def test_a_member_without_a_record_is_a_row(store, fill, record):
    lost = record("lost", "full", None)
    config = lost.config | {"lora": {"r": 8}, "runtime": {"point": {"uses_lora": False}}}
    points = {"lost": {"name": "method=full", "config": config}}
    fill(store, [record("a")], members=["a", "lost"], points=points)
    found = select(store, Scope())[1][1]
    assert (found["status"], found["method"], found["r"], found["name"]) == (
        "not run",
        "full",
        None,
        "method=full",
    )


def test_a_seed_that_is_still_to_run_is_of_the_row_of_the_others(store, fill, record):
    runs = [record(name, seed=seed) for seed, name in enumerate("abc")]
    for run in runs:
        run.provenance = {"device": "cpu", "versions": {"torch": "2.13.0"}}
        run.name = f"method=lora seed={run.config['seed']}"
    points = {run.run_id: {"name": run.name, "config": run.config} for run in runs}
    fill(store, runs[:2], members=["a", "b", "c"], points=points)
    (row,) = merge(select(store, Scope())[1])
    assert (row["outcome"], row["seeds"]) == ("2 succeeded, 1 not run", 2)
    runs[1].provenance["device"] = "gpu"
    store.put(runs[1])
    assert len(merge(select(store, Scope())[1])) == 3  # nothing says where the third will run


def test_an_unknown_sweep_names_the_known_ones(store, fill, record):
    with pytest.raises(StorageError, match="holds no sweep yet"):
        select(store, Scope())
    fill(store, [record("a")])
    with pytest.raises(
        StorageError, match=r"sweep s2 is not in .*: choose one, such as s1 \(2026-01-01T00:00: train.py\)"
    ):
        select(store, Scope(sweep="s2"))
    with pytest.raises(BadConfig, match="exclude each other"):
        select(store, Scope(sweep="s1", all=True))


def test_a_sweep_whose_file_is_torn_is_not_said_to_be_absent(store, fill, record):
    fill(store, [record("a")])
    store.path("sweeps", "s2").write_text('{"members": ["a"')
    assert select(store, Scope())[0] == "s1"
    with pytest.raises(StorageError, match=r"s2\.json is not a readable sweep"):
        select(Store(store.root), Scope("s2"))
    store.path("sweeps", "s1").write_text("")
    with pytest.raises(StorageError, match=r"s1\.json is not a readable sweep"):
        select(Store(store.root), Scope())


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        (["method=lora"], "ab"),
        (["method=lora,full"], "abd"),
        (["method=lora", "r=8"], "b"),
        (["lora.r=4"], "ac"),
        (["train.lr=0.00002"], "d"),
        (["lr=1e-3"], "abc"),
        (["encoding=text"], "abcd"),
        (["limit.train=2000"], "abcd"),
        (["r=null"], "d"),
    ],
)
def test_where_keeps_the_rows_of_which_all_holds(record, where, kept):
    kinds = [("a", "lora", 4), ("b", "lora", 8), ("c", "qlora", 4), ("d", "full", None)]
    rows = [row(record(*kind)) for kind in kinds]
    assert "".join(one["run_id"] for one in narrow(rows, where)) == kept


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (
            "method=lor",
            r"--where method=lor holds for no row: choose one of full, lora; did you mean 'lora'\?",
        ),
        ("methot=lora", "--where methot=.* is not one column: choose .* did you mean 'method'"),
        ("train=1", "not one column: choose one of dataset.train, dataset.limit.train"),
    ],
)
def test_where_refuses_what_no_row_has(record, where, message):
    rows = [row(record("a")), row(record("b", "full", None))]
    with pytest.raises(BadConfig, match=message):
        narrow(rows, [where])


def test_where_that_leaves_nothing_is_said(record):
    rows = [row(record("a")), row(record("b", "full", None))]
    with pytest.raises(BadConfig, match="holds for no row"):
        narrow(rows, ["method=full", "r=8"])


def test_a_sweep_is_found_by_the_beginning_of_its_id(store: Any) -> None:
    for name in ("abc1", "abd2"):
        store.put_sweep(name, {"started": "2026", "members": []})
    assert find_sweep(store, "abc")[0] == "abc1"
    with pytest.raises(StorageError, match="sweep ab is not in"):
        find_sweep(store, "ab")


def test_the_program_is_named_by_its_path_where_it_is_on_none(monkeypatch: Any, tmp_path: Any) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "tunesweep").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.executable", str(tmp_path / "bin" / "python"))
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert program() == "bin/tunesweep"
    monkeypatch.setattr("shutil.which", lambda name: "/usr/bin/tunesweep")
    assert program() == "tunesweep"
