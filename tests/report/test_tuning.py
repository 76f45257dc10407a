from __future__ import annotations

import json
from itertools import combinations, count
from statistics import mean

import pytest
from omegaconf import OmegaConf

from hydra_plugins.tunesweep._sweep import _report
from tunesweep.config.point import ReportConfig
from tunesweep.errors import BadConfig
from tunesweep.report import render
from tunesweep.report.rows import Row, Scope
from tunesweep.report.seeds import merge
from tunesweep.report.table import table
from tunesweep.report.tuning import curve_table, expected_curve, tune

NUMBERS = count()


@pytest.fixture
def trial(record):
    """A run of a method at a rate, with its scores on select and on test in thousandths."""

    def made(method: str, lr: float, select: int, test: int, seed: int = 0, *, loss: float = 0.5, **changes):
        one = record(f"x{next(NUMBERS)}", method, right=test, train__lr=lr, seed=seed, **changes)
        one.name = f"method={method} train.lr={lr:g} seed={seed}"
        one.metrics["select"] = {"accuracy": select / 1000, "loss": loss}
        return one

    return made


def build(records, tuned=("train.lr",), **more):
    (block,) = table("s1", [Row.from_record(one) for one in records], tuned=tuned, **more).blocks
    return block


def shown(block):
    return [(row["method"], row["lr"], row["score"], row["trials"], row["on_select"]) for row in block.rows]


def test_of_each_method_the_best_on_select_is_shown_with_its_test_score(trial):
    records = [
        *(trial("lora", 1e-4, 800, 790), trial("lora", 1e-3, 850, 780), trial("lora", 1e-2, 600, 990)),
        *(trial("full", 1e-5, 700, 710), trial("full", 1e-4, 690, 800), trial("full", 1e-3, 500, 810)),
    ]
    block = build(records)
    assert shown(block) == [("lora", 1e-3, 0.78, 3, 0.85), ("full", 1e-5, 0.71, 3, 0.7)]
    assert len(block.runs) == 6
    assert any(note.startswith("Tuned: train.lr. Each row is the best of its trials") for note in block.notes)
    assert warnings(block) == [
        "Warning: the smallest train.lr tried is the best of method=full: a smaller one may be better."
    ]


def warnings(block):
    return [note for note in block.notes if note.startswith("Warning")]


def test_a_best_value_at_the_end_of_what_was_tried_is_warned_of(trial):
    rising = [trial("lora", lr, select, 700) for lr, select in ((1e-4, 600), (1e-3, 700), (1e-2, 800))]
    assert warnings(build(rising)) == [
        "Warning: the largest train.lr tried is the best of method=lora: a larger one may be better."
    ]
    assert warnings(build(rising[1:])) == []  # of two values one must be an end
    rising[1] = trial("lora", 1e-3, 900, 700)
    assert warnings(build(rising)) == []


@pytest.mark.parametrize("test", [(790, 780, 990), (990, 780, 790), (0, 1000, 0), (780, 0, 990)])
def test_whatever_the_test_scores_are_the_choice_stays(trial, test):
    rates = (1e-4, 1e-3, 1e-2)
    records = [trial("lora", lr, sel, t) for lr, sel, t in zip(rates, (800, 850, 600), test, strict=True)]
    assert shown(build(records)) == [("lora", 1e-3, test[1] / 1000, 3, 0.85)]


def test_the_mean_over_seeds_chooses_and_ties_go_by_the_loss(trial):
    one_lucky = [trial("lora", 1e-4, s, 700, seed) for seed, s in enumerate((900, 700, 700))]
    steady = [trial("lora", 1e-3, 800, 710, seed) for seed in range(3)]
    assert shown(build([*one_lucky, *steady]))[0][1:4] == (1e-3, pytest.approx(0.71), 2)
    tied = [trial("lora", 1e-4, 800, 700, loss=0.4), trial("lora", 1e-3, 800, 710, loss=0.3)]
    assert shown(build(tied))[0][1] == 1e-3
    assert shown(build([tied[0], trial("lora", 1e-2, 800, 720, loss=0.4)]))[0][1] == 1e-4


def test_of_a_loss_the_least_is_best(written):
    records = []
    for lr, loss, perplexity in ((1e-4, 2.5, 9.0), (1e-3, 2.1, 12.0)):
        one = written(f"p{lr}", "text", "token", train__lr=lr)
        one.metrics |= {"select": {"loss": loss}}
        one.metrics["test"]["perplexity"] = perplexity
        records.append(one)
    (row,) = build(records).rows
    assert (row["lr"], row["score"], row["on_select"]) == (1e-3, 12.0, 2.1)


def test_other_settings_are_not_tuned(trial):
    block = build([trial("lora", 1e-4, 800, 790), trial("lora", 1e-3, 850, 780, train__epochs=3)])
    assert [row["trials"] for row in block.rows] == [1, 1]
    assert len(build([*block_records(trial)], tuned=["train"]).rows) == 1


def block_records(trial):
    return trial("lora", 1e-4, 800, 790), trial("lora", 1e-3, 850, 780, train__epochs=3)


def test_a_tuned_rank_brings_along_what_follows_from_it(trial):
    ranks = [trial("lora", 1e-3, 800 + r, 700, r=r) for r in (4, 8, 16)]
    for tuned in (["lora.r"], ["lora"]):
        (row,) = build(ranks, tuned=tuned).rows
        assert (row["r"], row["alpha"], row["trials"]) == (16, 32, 3)
    other = trial("lora", 1e-3, 900, 700, r=4)
    other.config["lora"]["alpha"] = 4
    assert [row["trials"] for row in build([*ranks, other], tuned=["lora.r"]).rows] == [3, 1]
    assert [row["trials"] for row in build([*ranks, other], tuned=["lora"]).rows] == [4]
    chosen = trial("lora", 1e-3, 900, 700, r=4)
    chosen.config["method"]["peft"]["use_dora"] = True
    for one in ranks:
        one.config["method"]["peft"]["use_dora"] = False
    assert [row["trials"] for row in build([*ranks, chosen], tuned=["lora.r"]).rows] == [3, 1]


def with_alpha(made, alpha):
    made.config["lora"]["alpha"] = alpha
    return made


@pytest.mark.parametrize(
    ("tried", "trials"),
    [
        ([(4, 16), (8, 16), (16, 16)], [3]),  # alpha stays, though it is twice the rank of one of them
        ([(r, alpha) for alpha in (8, 16, 32) for r in (4, 8, 16)], [3, 3, 3]),
        ([(4, 8), (8, 16), (16, 32)], [3]),
        ([(8, 16)], [1]),
    ],
)
def test_alpha_follows_a_tuned_rank_only_where_it_is_not_fixed(trial, tried, trials):
    records = [with_alpha(trial("lora", 1e-3, 800 + r, 700, r=r), alpha) for r, alpha in tried]
    block = build(records, tuned=["lora.r"])
    assert [row["trials"] for row in block.rows] == trials
    assert not any("rows were tuned with" in note for note in block.notes)


def test_the_curve_of_perplexities_goes_by_their_losses(written):
    records = []
    for lr, loss, perplexities in ((1e-4, 2.5, (8.0, 18.0)), (1e-3, 2.1, (4.0, 9.0))):
        for seed, perplexity in enumerate(perplexities):
            one = written(f"p{lr}{seed}", "text", "token", train__lr=lr, seed=seed)
            one.metrics |= {"select": {"loss": loss}}
            one.metrics["test"]["perplexity"] = perplexity
            records.append(one)
    _, (trials,) = tune(merge([Row.from_record(one) for one in records]), ["train.lr"])
    # Geometric means: 12 and 6 over seeds, and of both 72 ** 0.5 after one trial.
    assert expected_curve(trials) == pytest.approx([72**0.5, 6.0])


def test_what_was_tuned_is_a_column_and_no_undeclared_difference(trial):
    records = [
        trial(method, 1e-3, 800 + epochs * up, 700, train__epochs=epochs)
        for method, up in (("lora", 1), ("full", -1))
        for epochs in (2, 3)
    ]
    block = build(records, tuned=["train.epochs"], wanted=["method", "score"])
    headers = [column.header for column in block.columns]
    assert {"epochs", "trials"} <= set(headers)
    assert [row["train.epochs"] for row in block.rows] == [3, 2]
    assert not any(note.startswith("Warning") for note in block.notes)
    same = build(records[:2], tuned=["train.epochs"])
    assert "epochs" in [column.header for column in same.columns]


def test_unequal_budgets_are_warned_of(trial, record):
    records = [trial("lora", 1e-4, 800, 790), trial("lora", 1e-3, 850, 780), trial("full", 1e-5, 700, 710)]
    records.append(record("z", "zero_shot", None, right=500))
    records[-1].config["method"] |= {"trained": False, "shots": {"k": 4}}  # examples to draw, no rate to tune
    block = build(records)
    assert not any("no score on select" in note for note in block.notes)
    assert any("Warning: rows were tuned with 1 to 2 trials" in note for note in block.notes)
    assert block.rows[-1]["trials"] is None
    seeded = build([trial("lora", 1e-4, 800, 790), *(trial("lora", 1e-3, 850, 780, s) for s in range(3))])
    assert any("trials of method=lora have 1 to 3 seeds" in note for note in seeded.notes)


def test_a_failed_trial_was_made_and_is_not_chosen(trial, failed):
    bad = failed(trial("lora", 1e-2, 0, 0))
    (row,) = build([bad, trial("lora", 1e-3, 850, 780)]).rows
    assert (row["lr"], row["trials"], row["outcome"]) == (1e-3, 2, "succeeded")
    (lost,) = build([bad, failed(trial("lora", 1e-3, 0, 0))]).rows
    assert (lost["score"], lost["trials"]) == (None, 2)


def test_without_scores_on_select_nothing_is_chosen(record):
    records = [record("a", train__lr=1e-4, right=700), record("b", train__lr=1e-3, right=800)]
    block = build(records)
    assert [row["score"] for row in block.rows] == [0.7, 0.8]
    assert any(note.startswith("2 rows have no score on select") for note in block.notes)


def test_a_tuned_rate_is_not_called_untuned(trial):
    records = [trial(m, lr, 800 + round(lr * 1e4), 700) for m in ("lora", "full") for lr in (1e-4, 1e-3)]
    for one in records:
        one.runtime["lr_by_hand"] = True
    assert not any("untuned" in note for note in build(records).notes)
    assert any("untuned" in note for note in build(records[1::2]).notes)  # of one rate it is


def test_the_expected_score_is_the_mean_over_all_subsets_of_trials(trial):
    select, test = [700, 850, 800, 820], [690, 780, 800, 700]
    rates = (1e-5, 1e-4, 1e-3, 1e-2)
    records = [trial("lora", *scores) for scores in zip(rates, select, test, strict=True)]
    rows, (trials,) = tune(merge([Row.from_record(one) for one in records]), ["train.lr"])
    expected = [
        mean(test[max(places, key=select.__getitem__)] / 1000 for places in combinations(range(4), size))
        for size in (1, 2, 3, 4)
    ]
    assert expected_curve(trials) == pytest.approx(expected)
    assert expected_curve(trials)[-1] == pytest.approx(rows[0]["score"])


def test_curves_are_written_below_the_table(store, fill, trial):
    records = [trial("lora", 10.0**-n, 800 - n, 700 + n) for n in range(1, 7)]
    records += [trial("full", 10.0**-n, 600 - n, 500) for n in range(1, 4)]
    fill(store, records, report={"tuning": ["train.lr"]})
    page = render.markdown_blocks(store, Scope())
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines()]
    head = next(line for line in lines if line[0] == "expected accuracy after")
    assert head[1:] == ["1 trial", "2 trials", "4 trials", "6 trials"]
    assert ["method=full", "0.500", "0.500", "–", "–"] in lines
    assert next(line for line in lines if line[0] == "method=lora")[-1] == "0.701"
    found = render.raw_rows(render.build(store, Scope()))
    assert len(found) == 9
    assert sorted(row["on_select"] for row in found)[-1] == 0.799
    assert json.dumps(found)


def test_of_one_trial_there_is_no_curve(trial):
    _, trials = tune([Row.from_record(trial("lora", 1e-3, 800, 700))], ["train.lr"])
    assert curve_table(trials) == ([], [])


@pytest.mark.parametrize(
    ("name", "said"), [("seed", "the best seed is luck"), ("train.rate", "no point has 'train.rate'")]
)
def test_what_cannot_be_tuned_is_refused(name, said):
    composed = OmegaConf.create({"train": {"lr": 1e-3}, "seed": 0})
    composed.report = OmegaConf.structured(ReportConfig(tuning=["train.lr"]))
    assert _report([composed])["tuning"] == ["train.lr"]
    composed.report.tuning = [name]
    with pytest.raises(BadConfig, match=said):
        _report([composed])


@pytest.mark.parametrize("name", ["train", "model.name", "seed"])
def test_along_what_has_no_numbers_nothing_is_said_so_it_is_refused(name):
    composed = OmegaConf.create({"train": {"lr": 1e-3}, "model": {"name": "minilm"}, "seed": 0})
    composed.report = OmegaConf.structured(ReportConfig(within="train.lr"))
    assert _report([composed])["within"] == "train.lr"
    composed.report.within = name
    with pytest.raises(BadConfig, match=f"report.within={name} is no setting of numbers: name one, as"):
        _report([composed])
