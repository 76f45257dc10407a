"""Real data through the whole command, by options alone, written as one types them."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tunesweep.point import run
from tunesweep.store import Store

ROOT = Path(__file__).parents[1]

pytestmark = [pytest.mark.data, pytest.mark.filterwarnings("ignore:.*does not have many workers")]
LIMITS = ("dataset.limit.train=48", "dataset.limit.select=24", "dataset.limit.test=48", "train.epochs=1")
# In 32 bits: two steps leave classes so close that rounding to 16 bits decides between them.
LIMITS += ("train=fp32",)

# Command lines as a shell reads them: it takes the double quotes away, and Hydra the single ones.
LINES = {
    "trec": (
        "dataset=files dataset.train={data}/trec/train_5500.label dataset.test={data}/trec/TREC_10.label "
        r"""dataset.charset=latin-1 "dataset.pattern='(?P<label>[A-Z]+):\S+ (?P<text>.*)'" """,
        ["ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM"],
    ),
    "sms_spam": (
        "dataset=files dataset.train={data}/sms_spam/SMSSpamCollection dataset.format=tsv "
        "dataset.header=false dataset.label=0 dataset.text=1",
        ["ham", "spam"],
    ),
    "sst2_glue": (
        "dataset=files dataset.train={data}/sst2_glue/train.tsv dataset.select={data}/sst2_glue/dev.tsv "
        "dataset.test={data}/sst2_glue/test.tsv dataset.text=sentence "
        "+dataset.label_names.0=negative +dataset.label_names.1=positive",
        ["negative", "positive"],
    ),
    "ag_news": (
        "dataset=files dataset.train={data}/ag_news/train_sample_10k.tsv dataset.header=false "
        "dataset.text=0 dataset.label=1 'dataset.labels=[World,Sports,Business,Sci/Tech]'",
        ["World", "Sports", "Business", "Sci/Tech"],
    ),
    "sick": (
        "dataset=files dataset.train={data}/sick/SICK_train.txt dataset.select={data}/sick/SICK_trial.txt "
        "dataset.test={data}/sick/SICK_test_annotated.txt dataset.format=tsv encoding=pair "
        "dataset.text=sentence_A dataset.text_pair=sentence_B dataset.label=entailment_judgment",
        ["CONTRADICTION", "ENTAILMENT", "NEUTRAL"],
    ),
    "mnli": (
        "dataset=files dataset.train={data}/mnli/train.jsonl dataset.test={data}/mnli/validation.jsonl "
        "dataset.text=premise dataset.text_pair=hypothesis encoding=pair",
        ["contradiction", "entailment", "neutral"],
    ),
    "mnist": ("dataset=mnist dataset.folder={data}/mnist model=logistic method=full", list("0123456789")),
}


QUICK = ("trec", "sick")  # the others run with `make test-slow`


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in LINES]
)
def test_real_data_need_options_only(name: str, make_config, data_folder: Path) -> None:
    line, labels = LINES[name]
    words = shlex.split(line.format(data=data_folder))
    method = () if name == "mnist" else ("method=head_only",)
    record = run(make_config(*LIMITS, *method, *words))

    assert record.status == "succeeded", record.failure
    assert record.data["labels"] == labels
    assert record.data["rows"] == {"train": 48, "select": 24, "test": 48}
    assert set(record.data["classes"]) == set(labels)
    assert record.metrics["test"]["n"] == 48
    assert 0 <= record.metrics["test"]["accuracy"] <= 1
    assert record.data["groups_shared_with_train"] == {"select": 0, "test": 0}


@pytest.mark.slow  # lines of the pages are composed in test_documented_commands.py
def test_a_line_is_typed_into_a_shell(data_folder: Path, tmp_path: Path, cache: Path) -> None:
    line = LINES["trec"][0].format(data=data_folder)
    places = f"runtime.store={tmp_path} runtime.cache={cache} runtime.wandb.mode=disabled"
    command = f"{sys.executable} {ROOT / 'train.py'} -m method=head_only {' '.join(LIMITS)} {places} {line}"
    result = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=120, check=False)

    assert result.returncode == 0, result.stderr
    assert "files · accuracy on test · n = 48" in result.stdout
    (record,) = Store(tmp_path).records()
    assert record.status == "succeeded"
    assert record.config["dataset"]["pattern"] == r"(?P<label>[A-Z]+):\S+ (?P<text>.*)"
    assert record.sweep_id == Store(tmp_path).last_sweep()
