"""Whatever is wrong with a command line, it is said in one sentence before anything runs."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from command_line import CommandLine
from tunesweep import door
from tunesweep.config import AppConfig
from tunesweep.errors import BadConfig
from tunesweep.explain import explain
from tunesweep.record import draft


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CommandLine:
    return CommandLine(monkeypatch, tmp_path)


GROUPS = "model, method, lora, dataset, encoding, readout, train, runtime"
BAD = [
    # unknown options, at every depth
    ("trian.lr=1", f"trian is not an option: the command takes one of {GROUPS}", "did you mean 'train'?"),
    ("experimnt=main_sweep", "experimnt is not an option", "did you mean 'experiment'?"),
    ("train.lrr=1", "train.lrr is not an option: train takes one of lr, epochs", "did you mean 'lr'?"),
    ("dataset.limit.trian=4", "dataset.limit takes one of train, select, test", "did you mean 'train'?"),
    ("runtime.wandb.mod=online", "runtime.wandb takes one of mode, project, entity", "did you mean 'mode'?"),
    ("model.foo.bar=1", "model.foo is not an option: model takes one of name, family", ""),
    ("method.peft.rr=3", "method.peft takes one of _target_, r, lora_alpha", "did you mean 'r'?"),
    (
        "encoding.maxlength=3",
        "encoding takes one of _target_, name, max_length",
        "did you mean 'max_length'?",
    ),
    ("+encoding.maxlength=3", "Text has no option 'maxlength'", "did you mean 'max_length'?"),
    ("+foo=3", "foo is not an option: the command takes one of", ""),
    ("+train.foo=3", "train.foo is not an option: train takes one of lr, epochs", ""),
    ("+runtime.wandb.foo=3", "runtime.wandb.foo is not an option: runtime.wandb takes", ""),
    # groups and their members
    (
        "method=lroa",
        "method=lroa is not an option: choose one of adalora, bitfit, bottleneck",
        "did you mean 'lora'?",
    ),
    ("encoding=pixel_rows", "encoding=pixel_rows is not an option: choose one of", "'pixels_rows'?"),
    ("modle=minilm", "modle is not an option: the command takes", "did you mean 'model'?"),
    ("experiment=main", "experiment=main is not an option: choose one of classifier_families", "main_sweep"),
    ("hydra/launcher=foo", "hydra/launcher=foo is not an option: choose one of basic", ""),
    ("lora=16", "lora=16 is not an option: choose one of r128, r16", "did you mean 'r16'?"),
    ("lora=r4,16", "lora=16 is not an option: choose one of r128, r16", ""),
    ("~model", "model is missing", "give model=VALUE"),
    # wrong kinds
    ("lora.r=abc", "lora.r=abc is of the wrong kind: expected a whole number", ""),
    ("lora.r=4,x", "lora.r=x is of the wrong kind: expected a whole number", ""),
    ("train.epochs=1.5", "train.epochs=1.5 is of the wrong kind: expected a whole number", ""),
    ("train.lr=fast", "train.lr=fast is of the wrong kind: expected a number", ""),
    ("dataset.header=maybe", "dataset.header=maybe is of the wrong kind: expected true or false", ""),
    ("blocks=3", "blocks=3 is of the wrong kind: expected a list", ""),
    ("model.target_modules=3", "model.target_modules=3 is of the wrong kind: expected Dict", ""),
    ("lora.r=null", "lora.r=null is not possible: it needs a value", ""),
    ("encoding.max_length=abc", "encoding.max_length=abc must be a whole number, 1 or more", ""),
    # values that cannot be
    ("lora.r=0", "lora.r=0 must be above zero", ""),
    ("lora.r=4,-3", "lora.r=-3 must be above zero", ""),
    ("train.lr=-1e-3", "train.lr=-0.001 must be above zero", ""),
    ("train.lr=nan", "train.lr=nan must be above zero and finite", ""),
    ("train.clip=inf", "train.clip=inf must be above zero and finite", ""),
    ("train.weight_decay=nan", "train.weight_decay=nan must not be negative, and finite", ""),
    ("seed=-1", "seeds.init=-1 must be a whole number from 0 to 4294967295", ""),
    ("seeds.split=4294967296", "seeds.split=4294967296 must be a whole number", ""),
    ("train.schedule=liner", "choose one of linear, cosine, constant", "did you mean 'linear'?"),
    ("lora.dropout=1.5", "lora.dropout=1.5 must be at least 0 and below 1", ""),
    ("dataset=files", "dataset.train=null: name the file to learn from", "dataset.train=PATH"),
    ("dataset.train=/no/such.csv", "dataset.train=/no/such.csv does not exist", ""),
    ("model.source=/no/such", "model.source=/no/such is not a folder", ""),
    ("method.peft._target_=os.system", "_target_=os.system is not allowed", "must begin with peft."),
    ("encoding._target_=os.system", "_target_=os.system is not allowed", "must begin with peft."),
    ("encoding._target_=tunesweep.data.encodings.text.Txt", "does not exist", ""),
    # what cannot be read or resolved
    ("lora.r=4,", "lora.r=4, cannot be read: write KEY=VALUE", ""),
    ("lora.r=[4", "lora.r=[4 cannot be read: write KEY=VALUE", ""),
    ("=3", "=3 names no option: write KEY=VALUE", ""),
    ("lora", "lora cannot be read: write KEY=VALUE", ""),
    ("lora.targets=query", "there is no model.target_modules.query", "one of query_value, all_linear"),
    ("lora.r=${lora.rank}", "there is no lora.rank", "lora has one of r, alpha"),
    ("lora.r=${oc.env:NOT_SET_AT_ALL}", "environment variable NOT_SET_AT_ALL: it is not set", ""),
    ("lora.r=${triple:3}", "calls ${triple:...}, which does not exist", "${oc.env:NAME}"),
    ("lora.r=${lora.r}", "refers to itself", ""),
]


@pytest.mark.parametrize(("word", "words", "hint"), BAD, ids=[word for word, _, _ in BAD])
def test_a_bad_word_is_one_sentence(command: CommandLine, word: str, words: str, hint: str) -> None:
    out = command(word)
    assert words in out.said
    assert hint in out.said
    assert out.said.startswith("error: ")
    assert "\n" not in out.said
    assert "Traceback" not in out.errors + out.output
    assert (out.status, out.ran) == (1, [])
    assert not list(command.store.root.glob("records/*"))


def test_the_suggestions_are_options_only(command: CommandLine) -> None:
    said = command("method=lroa").said
    assert said.endswith("prompt_tuning, qlora, vera, zero_shot; did you mean 'lora'?")


def test_a_wrong_sweep_without_m_is_not_mistaken_for_a_single_run(command: CommandLine) -> None:
    assert "trian is not an option" in command("lora.r=4,8", "trian.lr=1").said


@pytest.mark.parametrize("flag", ["--no-such-flag", "-q"])
def test_an_unknown_flag_is_refused(command: CommandLine, flag: str) -> None:
    out = command(flag)
    assert (out.status, out.ran) == (2, [])
    assert f"unrecognized arguments: {flag}" in out.errors


def test_a_method_without_a_budget_is_refused(command: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "mine" / "method").mkdir(parents=True)
    (tmp_path / "mine" / "method" / "mine.yaml").write_text("name: mine\ntrains: .*\n")
    out = command("--config-dir", str(tmp_path / "mine"), "method=mine")
    assert "method.budget.lr is missing: set it in the YAML of its group" in out.said
    assert (out.status, out.ran) == (1, [])


def test_a_yaml_of_the_wrong_kind_is_one_sentence(command: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "mine" / "train").mkdir(parents=True)
    (tmp_path / "mine" / "train" / "mine.yaml").write_text("epochs: many\n")
    out = command("--config-dir", str(tmp_path / "mine"), "train=mine")
    assert "train/mine.yaml: train.epochs=many is of the wrong kind: expected a whole number" in out.said
    assert (out.status, out.ran) == (1, [])


def test_an_unknown_key_of_a_yaml_is_one_sentence(command: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "mine" / "train").mkdir(parents=True)
    (tmp_path / "mine" / "train" / "mine.yaml").write_text("epocs: 3\n")
    out = command("--config-dir", str(tmp_path / "mine"), "train=mine")
    assert "train/mine.yaml: train.epocs is not an option: train takes one of lr" in out.said
    assert "did you mean 'epochs'?" in out.said
    assert (out.status, out.ran) == (1, [])


def test_a_traceback_is_shown_to_those_who_ask(command: CommandLine) -> None:
    command.full_error = "1"
    with pytest.raises(BadConfig, match=r"lora\.r=0 must be"):
        command("lora.r=0")


def test_an_error_of_ours_explains_itself() -> None:
    assert explain(BadConfig("a sentence")) == "a sentence"


def test_an_error_without_a_pattern_keeps_its_first_lines() -> None:
    error = ValueError("first\nsecond")
    error.__cause__ = KeyError("cause")
    assert explain(error) == "first: 'cause'"


@pytest.mark.parametrize(("lr", "expected", "by_hand"), [(None, 1e-3, False), (2e-4, 2e-4, True)])
def test_a_budget_fills_what_is_null(make_config, lr: float | None, expected: float, by_hand: bool) -> None:
    config = make_config("method=lora", f"train.lr={'null' if lr is None else lr}", "train.warmup=0.25")
    assert (config.train.lr, config.train.epochs, config.train.warmup) == (expected, 2, 0.25)
    assert config.runtime.point.lr_by_hand is by_hand


def test_a_model_that_starts_from_a_run_does_not_begin_at_random(make_config) -> None:
    words = ("model=mlp", "dataset=digits", "method=full")
    assert make_config(*words).train.lr == 1e-3  # the model's own
    assert make_config(*words, "model.init_from=0123456789abcdef").train.lr == 5e-5  # the method's


@pytest.mark.parametrize(
    ("method", "uses"), [("lora", True), ("qlora", True), ("full", False), ("bitfit", False)]
)
def test_methods_that_refer_to_the_lora_group(make_config, method: str, uses: bool) -> None:
    assert make_config(f"method={method}").runtime.point.uses_lora is uses


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_record_gives_its_point_again(make_config, method: str) -> None:
    config = make_config(f"method={method}", "lora.r=4", "seed=2", "train.epochs=7")
    record = draft(config)
    record.provenance["model_fingerprint"], record.data["fingerprint"] = "m", "d"
    parts = json.loads(record.to_json())["config"]
    again = door.of_record(replace(record, config=parts), config.runtime)
    ours, theirs = asdict(config), asdict(again)
    for point in (ours, theirs):
        del point["runtime"]
        if method == "full":  # ignores the group, and its record does not hold it
            del point["lora"]
    assert theirs == ours
    found = again.runtime.point
    assert (found.model_fingerprint, found.data_fingerprint) == ("m", "d")
    assert found.uses_lora is (method == "lora")


def test_no_value_reaches_the_code_that_the_schema_does_not_know() -> None:
    cfg = OmegaConf.create({"secret": 1})
    with pytest.raises(BadConfig, match="secret is not an option"):
        door.to_run_config(cfg)
    assert "secret" not in AppConfig.__annotations__
