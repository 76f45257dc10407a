"""Two runs compared metric by metric, against scipy and scikit-learn asked directly."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from scipy.stats import bootstrap, permutation_test
from sklearn.metrics import accuracy_score, f1_score, log_loss
from statsmodels.stats.contingency_tables import mcnemar
from typer.testing import CliRunner

from tunesweep.cli import app
from tunesweep.errors import BadConfig
from tunesweep.report.compare import compare, draws_for
from tunesweep.report.rows import Row

N, NAMES = 90, ["fresh", "mixed", "rotten"]
RNG = np.random.default_rng(11)
IDS = [f"test-{number:03}" for number in range(N)]
LABELS = RNG.choice(NAMES, N)


def classifier(seed: int, skill: float) -> dict[str, np.ndarray]:
    """Return the predictions of a classifier."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(N, 3)) + skill * (np.array(NAMES) == LABELS[:, None])
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    found = {"id": np.array(IDS), "label": LABELS, "prediction": np.array(NAMES)[p.argmax(axis=1)]}
    found["loss"] = -np.log(p[np.arange(N), [NAMES.index(label) for label in LABELS]])
    return found | {f"p:{name}": p[:, number] for number, name in enumerate(NAMES)}


def writer(seed: int) -> dict[str, np.ndarray]:
    """Return the predictions of a model that follows instructions."""
    rng = np.random.default_rng(seed)
    tokens = np.random.default_rng(0).integers(2, 9, N)
    found = {"id": np.array(IDS), "reference": LABELS, "nll": rng.gamma(2.0, 2.0, N), "tokens": tokens}
    return found | {"text": rng.choice(NAMES, N), "chrf": 100 * rng.random(N), "rouge_l": rng.random(N)}


A, B = classifier(1, 3.0), classifier(2, 1.0)


@pytest.fixture
def rows(record):
    first, second = record("a1"), record("b2", r=16)
    return Row.from_record(first), Row.from_record(second)


def by_name(found):
    return {each.metric: each for each in found.differences}


def test_metrics_are_those_of_scikit_learn(rows):
    found = by_name(compare(*rows, A, B))
    assert list(found) == ["accuracy", "macro_f1", "balanced_accuracy", "log_loss", "calibration_error"]
    for place, part in (("first", A), ("second", B)):
        sure = np.stack([part[f"p:{name}"] for name in NAMES], axis=1)
        said = part["prediction"]
        wanted = {
            "accuracy": accuracy_score(LABELS, said),
            "macro_f1": f1_score(LABELS, said, average="macro"),
            "log_loss": log_loss(LABELS, sure),
        }
        for name, value in wanted.items():
            assert getattr(found[name], place) == pytest.approx(value), name


def test_accuracy_is_tested_by_mcnemar(rows):
    found = by_name(compare(*rows, A, B))["accuracy"]
    right = [part["prediction"] == LABELS for part in (A, B)]
    table = [[sum(right[0] & right[1]), sum(right[0] & ~right[1])], [sum(~right[0] & right[1]), 0]]
    assert found.p == pytest.approx(mcnemar(table, exact=True).pvalue)
    assert (found.test, found.better) == ("exact McNemar", "first")


def test_macro_f1_has_the_interval_and_p_value_of_scipy(rows):
    found = by_name(compare(*rows, A, B))["macro_f1"]
    codes = [np.array([NAMES.index(name) for name in part["prediction"]]) for part in (A, B)]
    true = np.array([NAMES.index(name) for name in LABELS])

    def gap(first, second, labels):
        return f1_score(labels, first, average="macro", zero_division=0) - f1_score(
            labels, second, average="macro", zero_division=0
        )

    permuted = permutation_test(
        codes,
        lambda first, second: gap(first, second, true),
        permutation_type="samples",
        vectorized=False,
        n_resamples=300,
        rng=np.random.default_rng(5),
    )
    assert found.p == pytest.approx(permuted.pvalue, abs=0.05)
    drawn = bootstrap(
        (*codes, true), gap, paired=True, vectorized=False, n_resamples=300, method="percentile"
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((drawn.low, drawn.high), abs=0.05)


def test_losses_have_the_p_value_of_scipy_and_less_is_better(rows):
    found = by_name(compare(*rows, A, B))["log_loss"]
    wanted = permutation_test(
        (A["loss"], B["loss"]),
        lambda first, second, axis: first.mean(axis=axis) - second.mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        rng=np.random.default_rng(1),
    )
    assert found.p == pytest.approx(wanted.pvalue, abs=0.01)
    assert found.value == pytest.approx(A["loss"].mean() - B["loss"].mean())
    assert found.value < 0
    assert found.better == "first"


def test_texts_have_perplexity_and_the_scores_of_each(written):
    rows = [Row.from_record(written(name, "alpaca", "answers")) for name in "ab"]
    one, other = writer(1), writer(2)
    found = compare(*rows, one, other)
    assert list(by_name(found)) == ["perplexity", "chrf", "rouge_l"]
    perplexity = by_name(found)["perplexity"]
    assert perplexity.first == pytest.approx(np.exp(one["nll"].sum() / one["tokens"].sum()))
    assert perplexity.low < perplexity.value < perplexity.high
    assert by_name(found)["chrf"].first == pytest.approx(one["chrf"].mean())
    assert found.answers == "text"
    assert found.odd == [name for name, a, b in zip(IDS, one["text"], other["text"], strict=True) if a != b]


def test_disagreements_are_named_and_a_run_does_not_differ_from_itself(rows):
    found = compare(*rows, A, B)
    assert found.odd == list(np.array(IDS)[A["prediction"] != B["prediction"]])
    assert found.only is not None
    assert found.only.b == sum((A["prediction"] == LABELS) & (B["prediction"] != LABELS))
    same = compare(*rows, A, A)
    assert same.odd == []
    assert {(each.p, each.low, each.high, each.better) for each in same.differences} == {
        (1.0, 0.0, 0.0, None)
    }


def test_other_examples_are_refused_and_named(record, rows):
    other = record("c3")
    other.data["scored_ids"] = "i2"
    with pytest.raises(BadConfig, match="differ in the scored examples: choose"):
        compare(rows[0], Row.from_record(other), A, B)
    other.data |= {"fingerprint": "d2", "labels": ["a", "b"]}
    with pytest.raises(BadConfig, match="the files of the data set, the scored examples, the classes"):
        compare(rows[0], Row.from_record(other), A, B)
    with pytest.raises(BadConfig, match="1 ids are in one alone"):
        compare(*rows, A, {name: values[1:] for name, values in B.items()})
    turned = np.where(np.arange(N) == 4, "other", LABELS)
    with pytest.raises(BadConfig, match="in the label of 1 examples"):
        compare(*rows, A, B | {"label": turned})
    unscored = record("d4")
    unscored.metrics = {}
    with pytest.raises(BadConfig, match="no score"):
        compare(rows[0], Row.from_record(unscored), A, B)


@pytest.fixture
def filled(store, record):
    """A store of two runs; the file of the second is in another order."""
    for run_id, part in (("a1", A), ("b2", B)):
        found = record(run_id)
        found.artefacts = {"predictions": f"predictions/{run_id}.parquet"}
        store.put(found)
        frame = pd.DataFrame(part)
        path = store.path("predictions", run_id)
        path.parent.mkdir(exist_ok=True, parents=True)
        (frame if run_id == "a1" else frame[::-1]).to_parquet(path, index=False)
    return store


def test_a_metric_that_few_examples_have_is_drawn_from_these_alone(written):
    rows = [Row.from_record(written(name, "gsm8k", "answers")) for name in "ab"]
    scores = {"a": [1.0, 1.0, 0.0], "b": [0.0, 1.0, 0.0]}
    parts = {}
    for name, found in scores.items():
        parts[name] = writer(1) | {"numeric_match": np.full(N, np.nan), "exact_match": np.zeros(N)}
        parts[name]["numeric_match"][[4, 40, 80]] = found
    few = by_name(compare(*rows, parts["a"], parts["b"]))["numeric_match"]
    assert (few.first, few.second) == pytest.approx((2 / 3, 1 / 3))
    drawn = bootstrap(
        (np.array(scores["a"]), np.array(scores["b"])),
        lambda first, second, axis: first.mean(axis=axis) - second.mean(axis=axis),
        paired=True,
        method="percentile",
    ).confidence_interval
    assert (few.low, few.high) == pytest.approx((drawn.low, drawn.high))
    assert few.p == 1.0
    for part in parts.values():
        part["numeric_match"][:] = np.nan
    assert "numeric_match" not in by_name(compare(*rows, parts["a"], parts["b"]))


def test_many_examples_are_drawn_less_often():
    assert [draws_for(n) for n in (1, 1000, 2000, 10_000, 1_000_000)] == [9999, 9999, 5000, 1999, 1999]


def test_the_command_speaks_and_prints_json(filled):
    words = ["compare", "a1", "b2", "--store", str(filled.root)]
    said = CliRunner().invoke(app, words)
    assert said.exit_code == 0, said.output
    assert "These runs, on these 90 examples" in said.stdout
    assert "accuracy" in said.stdout
    found = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert [each["metric"] for each in found["metrics"]][:2] == ["accuracy", "macro_f1"]
    assert found["metrics"][0]["difference"] == pytest.approx(
        accuracy_score(LABELS, A["prediction"]) - accuracy_score(LABELS, B["prediction"])
    )
    assert found["answered_differently"] == list(np.array(IDS)[A["prediction"] != B["prediction"]])


@pytest.mark.parametrize("kind", ["classes", "text"])
def test_one_scored_example_is_no_verdict_and_json_stays_json(store, record, written, kind):
    parts = (A, B) if kind == "classes" else (writer(1), writer(2))
    for run_id, part in zip(("a1", "b2"), parts, strict=True):
        found = record(run_id) if kind == "classes" else written(run_id, "alpaca", "answers")
        found.artefacts = {"predictions": f"predictions/{run_id}.parquet"}
        store.put(found)
        path = store.path("predictions", run_id)
        path.parent.mkdir(exist_ok=True, parents=True)
        pd.DataFrame({name: values[:1] for name, values in part.items()}).to_parquet(path, index=False)
    words = ["compare", "a1", "b2", "--store", str(store.root)]
    said = CliRunner().invoke(app, words)
    assert said.exit_code == 0, said.output
    assert not re.search(r"\b(inf|nan)\b", said.stdout)
    told = CliRunner().invoke(app, [*words, "--json"]).stdout
    found = json.loads(told, parse_constant=pytest.fail)
    assert {(each["p"], each["low"], each["better"]) for each in found["metrics"]} == {(1.0, None, None)}


def test_what_cannot_be_compared_is_one_sentence(filled):
    filled.path("predictions", "b2").write_text("no parquet")
    for words in (["a1", "b2"], ["a1", "a1"], ["a1", "zz"]):
        said = CliRunner().invoke(app, ["compare", *words, "--store", str(filled.root)])
        assert (said.exit_code, said.stdout) == (1, "")
        assert len(said.stderr.strip().splitlines()) == 1


def test_it_does_without_torch(filled):
    code = (
        "import sys; from typer.testing import CliRunner; from tunesweep.cli import app; "
        f"r = CliRunner().invoke(app, ['compare', 'a1', 'b2', '--store', {str(filled.root)!r}]); "
        "assert r.exit_code == 0, r.output; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
