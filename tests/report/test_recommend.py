from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from tunesweep.cli import app
from tunesweep.commands.recommend import size_of
from tunesweep.errors import BadConfig
from tunesweep.report.reasons import facts, sentences
from tunesweep.report.recommend import Wish, names, recommend
from tunesweep.report.rows import Row, Scope

N = 1000


class Shelf:
    """A store that is filled with drawn runs and their predictions."""

    def __init__(self, store, record, fill) -> None:
        self.store, self.record, self.fill, self.records = store, record, fill, []
        self.easy = np.random.default_rng(0).random(N)

    def add(self, method: str, accuracies: list[float], minutes: float, **cost):
        for seed, accuracy in enumerate(accuracies):
            right = round(accuracy * N)
            made = self.record(f"{method}{seed}", method, right=right, seed=seed)
            made.name = f"method={method} seed={seed}"
            made.cost |= {"minutes": minutes} | cost
            noisy = self.easy + np.random.default_rng(len(self.records)).normal(0, 0.1, N)
            correct = np.argsort(np.argsort(noisy)) < right
            self.keep(made, correct)
            self.records.append(made)
        return self.records[-1]

    def keep(self, made, correct) -> None:
        path = self.store.path("predictions", made.run_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        label = np.array(["fresh"] * len(correct))
        columns = {"id": [f"{i:04}" for i in range(len(correct))], "label": label}
        columns["prediction"] = np.where(correct, "fresh", "rotten")
        pq.write_table(pa.table(columns), path)
        made.artefacts = {"predictions": str(path.relative_to(self.store.root))}

    def ask(self, **wish):
        self.fill(self.store, self.records)
        (found,) = recommend(self.store, Scope(), Wish(**wish))
        return found


@pytest.fixture
def shelf(store, record, fill) -> Shelf:
    return Shelf(store, record, fill)


@pytest.fixture
def three(shelf) -> Shelf:
    shelf.add("full", [0.852, 0.850, 0.851], minutes=9.0, memory_bytes=4e9)
    shelf.add("lora", [0.849, 0.850, 0.851], minutes=3.0, memory_bytes=2e9)
    shelf.add("bitfit", [0.700, 0.701, 0.702], minutes=1.0, memory_bytes=1e9)
    return shelf


def taken(found) -> str | None:
    return None if found.place is None else found.names[found.place]


def test_the_cheapest_row_that_is_near_enough_is_taken(three):
    found = three.ask(epsilon=0.03)
    assert (taken(found), found.advice.decided) == ("method=lora", True)
    said = sentences(found)
    assert said[0].startswith("Take method=lora: accuracy 0.850, 3.00 minutes, memory 2.00 GB")
    assert "within 0.03 of the best of 3 rows, and none as sure is cheaper (minutes)" in said[1]
    assert said[2].startswith("The best score is that of method=full: accuracy 0.851, 9.00 minutes")
    assert "Cheaper, but less sure: method=bitfit (less than 0.01)." in said
    assert "What it cost to know: 39.0 minutes in 9 runs." in said
    assert "Its runs, for `tunesweep predict` or `export`: lora0, lora1, lora2." in said
    assert "Most worth adding" in said[-1] or "No single run is likely" in said[-1]


def test_what_near_enough_means_decides(three):
    assert taken(three.ask(epsilon=0.5)) == "method=bitfit"
    assert taken(three.ask(epsilon=0.03, cheapest="memory")) == "method=lora"


def test_budgets_leave_rows_out_and_say_so(three):
    found = three.ask(limits={"minutes": 2.0})
    assert taken(found) == "method=bitfit"
    assert "It is the only row that fits and can be compared." in sentences(found)
    left = "Beyond the budgets: method=full (9.00 minutes), method=lora (3.00 minutes)."
    assert left in sentences(found)
    none = three.ask(limits={"memory": 5e8})
    assert (taken(none), sentences(none)[0]) == (None, "No row that can be compared fits the budgets.")
    assert facts(none)["row"] is None


def test_a_row_whose_cost_is_not_known_fits_no_budget(three):
    for made in three.records[3:6]:
        made.cost["memory_bytes"] = None
    found = three.ask(epsilon=0.03, limits={"memory": 5e9})
    assert taken(found) == "method=full"
    assert any("method=lora (memory not known)" in line for line in sentences(found))


def test_data_that_cannot_decide_say_so_and_what_would(shelf):
    shelf.add("full", [0.80, 0.84, 0.88], minutes=9.0)
    shelf.add("lora", [0.81, 0.83, 0.87], minutes=3.0)
    found = shelf.ask()
    assert not found.advice.decided
    said = sentences(found)
    assert said[0] == "The data cannot decide: no row is within 0.01 of the best with probability 0.9."
    assert said[1].startswith("Nearest comes method=")
    assert any("more seeds a row" in line and "would decide it" in line for line in said)
    assert any(line.startswith("Others: method=") for line in said)
    assert found.addition.seed


def test_where_no_single_run_decides_the_least_known_contender_is_named(shelf):
    shelf.add("full", [0.70, 0.84, 0.98], minutes=9.0)
    shelf.add("lora", [0.80, 0.84, 0.88], minutes=3.0)
    found = shelf.ask(epsilon=0.0001, probability=0.999)
    assert not found.advice.decided
    assert found.names[found.addition.place] == "method=full"
    assert "seeds of method=full, of which least is known" in sentences(found)[-1]


def test_single_seeds_are_advice_on_these_runs(shelf):
    shelf.add("full", [0.85], minutes=9.0)
    shelf.add("lora", [0.85], minutes=3.0)
    found = shelf.ask(epsilon=0.05)
    assert (taken(found), found.methods) == ("method=lora seed=0", False)
    assert any("these runs as they were trained" in line for line in sentences(found))
    assert sentences(found)[-1].startswith("Most worth adding: seeds of method=")


def test_rows_with_few_seeds_are_named_and_may_be_worth_most(three):
    three.add("dora", [0.852], minutes=0.5)
    found = three.ask(epsilon=0.03)
    assert taken(found) == "method=lora"
    assert any(line.startswith("Not compared") and "method=dora" in line for line in sentences(found))
    assert found.names[found.addition.place] == "method=dora seed=0"
    assert not found.addition.seed
    assert found.addition.chance > 0.9  # cheaper, and about as good
    assert sentences(found)[-1].startswith("Most worth adding: a result of method=dora")


def test_a_row_that_failed_is_worth_more_the_wider_others_scatter(three, failed):
    lost = failed(three.record("z", "qlora"))
    lost.cost = {"predicted": {"minutes": 0.5}}
    three.records.append(lost)
    found = three.ask(epsilon=0.03)
    assert found.block.rows[found.addition.place]["run_id"] == "z"
    within_budget = three.ask(epsilon=0.03, limits={"minutes": 4.0})
    assert within_budget.block.rows[within_budget.addition.place]["run_id"] == "z"
    beyond = three.ask(epsilon=0.03, limits={"minutes": 0.4})
    assert beyond.addition is None


def test_perplexity_counts_as_a_share(shelf, written):
    for method, mean, minutes in (("full", 3.000, 9.0), ("lora", 3.004, 3.0)):
        for seed in range(3):
            made = written(f"{method}{seed}", "text", "token", seed=seed, train__lr=minutes)
            made.name, made.cost["minutes"] = f"method={method} seed={seed}", minutes
            nll = np.full(N, mean) + np.random.default_rng(1).normal(0, 0.01, N) + 0.0001 * seed
            path = shelf.store.path("predictions", made.run_id)
            path.parent.mkdir(parents=True, exist_ok=True)
            ids = [f"{i:04}" for i in range(N)]
            pq.write_table(pa.table({"id": ids, "nll": nll, "tokens": np.ones(N)}), path)
            made.artefacts = {"predictions": str(path.relative_to(shelf.store.root))}
            made.metrics["test"]["perplexity"] = float(np.exp(nll.mean()))
            shelf.records.append(made)
    assert taken(shelf.ask(epsilon=0.01)) == "method=lora"  # a factor of exp(0.004)
    assert taken(shelf.ask(epsilon=0.001)) == "method=full"
    assert "within 1 % of the best" in sentences(shelf.ask(epsilon=0.01))[1]


def test_rows_without_predictions_cannot_be_advised(store, fill, record):
    fill(store, [record("a"), record("b", r=4)])
    (found,) = recommend(store, Scope(), Wish())
    assert sentences(found)[0].startswith("Nothing can be advised: no row has readable predictions")


def test_of_one_scored_example_nothing_can_be_advised(three):
    for made in three.records:
        three.keep(made, [made.config["method"]["name"] == "lora"])
    found = three.ask()
    assert (taken(found), found.advice) == (None, None)
    assert sentences(found)[0] == (
        "Nothing can be advised: no row has readable predictions of several examples."
    )


def test_costs_that_do_not_compare_are_named(three):
    three.records[0].runtime["executor"] = "worker"
    for made in three.records[:3]:
        made.runtime["executor"] = "worker"
    assert any("compare only between rows of one executor" in line for line in sentences(three.ask()))


def test_rows_are_called_what_tells_them_apart(record):
    rows = [
        Row.from_record(record(run, method))
        for run, method in zip("abc", ("lora", "lora", "full"), strict=True)
    ]
    assert names(rows) == ["lora r=8 (a)", "lora r=8 (b)", "full r=8"]
    rows[0].values["label"], rows[1].values["label"] = "first", "second"
    assert names(rows)[:2] == ["first", "second"]


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"probability": 1.0}, "--probability 1 must lie between"),
        ({"epsilon": -1}, "--epsilon -1 must be nought or more"),
        ({"cheapest": "watts"}, "choose one of minutes, memory, peak_memory, disk, trainable"),
        ({"limits": {"peak_memory": 0}}, "--peak-memory 0 must be above zero"),
    ],
)
def test_wishes_that_make_no_sense_are_refused(wish, said):
    with pytest.raises(BadConfig, match=said):
        Wish(**wish)


def test_sizes_are_read_in_powers_of_a_thousand():
    read = [size_of(text, "disk") for text in ("2GB", "500 MB", "1.5k", "7", "1tb")]
    assert read == [2e9, 5e8, 1500, 7, 1e12]
    with pytest.raises(BadConfig, match="--peak-memory 2 gallons is no size"):
        size_of("2 gallons", "peak_memory")


def test_the_command_prints_sentences_or_json(three):
    three.ask()
    root = str(three.store.root)
    asked = ["recommend", "--store", root, "--epsilon", "0.03", "--memory", "3GB"]
    printed = CliRunner().invoke(app, asked)
    assert printed.exit_code == 0, printed.output
    assert printed.stdout.startswith("reviews · accuracy on test")
    assert "Take method=lora" in printed.stdout
    assert "method=full (memory 4.00 GB)" in printed.stdout
    (found,) = json.loads(CliRunner().invoke(app, [*asked, "--json"]).stdout)
    assert (found["row"], found["decided"]) == ("method=lora", True)
    assert found["asked"]["budgets"] == {"memory": 3e9}
    assert [row["fits"] for row in found["rows"]] == [False, True, True]
    assert found["known_from"] == {"runs": 9, "minutes": pytest.approx(39.0)}
    refused = CliRunner().invoke(app, ["recommend", "--store", root, "--disk", "much"])
    assert refused.exit_code == 1
    assert refused.stderr.startswith("tunesweep: --disk much is no size")


def test_a_row_that_has_not_learned_is_not_taken_in_silence(shelf):
    for method, minutes in (("bitfit", 1.0), ("lora", 2.0)):
        shelf.add(method, [0.7, 0.7, 0.7], minutes)
    for record in shelf.records[:3]:
        record.metrics["learned"] = False
    found = shelf.ask(epsilon=0.05)
    assert taken(found) == "method=bitfit"
    said = sentences(found)
    assert said[0].startswith("method=bitfit has not learned: ")
    assert said[1].startswith("Take none yet. First comes method=bitfit: ")
    assert not any("tunesweep predict" in line or "worth adding" in line for line in said)
    for record in shelf.records[:3]:
        record.metrics["learned"] = True
    assert not any("has not learned" in line for line in sentences(shelf.ask(epsilon=0.05)))


def test_the_command_for_more_seeds_is_named(shelf, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: name)
    for method, accuracy in (("lora", 0.7), ("full", 0.72), ("ia3", 0.6)):
        shelf.add(method, [accuracy], 1.0)
    root = str(shelf.store.root)
    for whole, record in (("", None), (" runtime.early_exit=null", shelf.records[2])):
        if record is not None:
            record.status, record.metrics, record.stopped = "stopped", {}, "after epoch 1 of 4"
        shelf.ask()
        last = CliRunner().invoke(app, ["recommend", "--store", root]).stdout.splitlines()[-1]
        sweep = shelf.store.last_sweep()
        assert last == f"More seeds of every row: tunesweep extend {sweep} seed=1,2{whole} --store {root}"


def test_a_configuration_of_which_some_seeds_were_stopped_has_no_score(shelf):
    shelf.add("lora", [0.7, 0.7, 0.71], 1.0)
    shelf.add("full", [0.99, 0.6, 0.6], 2.0)
    for record in shelf.records[4:]:  # the lucky seed of full went on
        record.status, record.metrics = "stopped", {"select": {"loss": 0.9, "accuracy": 0.5}}
        record.artefacts, record.stopped = {}, "after epoch 1 of 4"
    found = shelf.ask()
    assert taken(found) == "method=lora"
    assert [row["score"] for row in found.block.rows if row["method"] == "full"] == [None]
    said = [note for note in found.block.notes if note.startswith("No score: method=full: ")]
    assert len(said) == 1
