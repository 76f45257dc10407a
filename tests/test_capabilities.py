"""What cannot be is refused in planning, with what would work."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tunesweep.capabilities import RULES, check, problems
from tunesweep.config import RunConfig
from tunesweep.errors import BadConfig

Make = Callable[..., RunConfig]
ROOT = Path(__file__).parents[1]
FILES = ("dataset=files", "dataset.train=x.csv")
SMOLLM2 = "model=smollm2_135m"

REFUSED = [
    (["dataset=digits", "model=mlp", "method=qlora"], "method=qlora quantises", "use method=full"),
    (
        ["dataset=digits", "model=cnn", "method=lora"],
        "method=lora adapts pretrained weights",
        "use method=full",
    ),
    (
        ["dataset=digits", "model=cnn", "method=head_only"],
        "method=head_only adapts pretrained",
        "use method=full",
    ),
    (["dataset=reviews", "model=mlp", "method=full"], "model=mlp reads pictures", "model=minilm"),
    (
        ["dataset=digits", "model=mlp", "method=full", "readout=linear"],
        "model=mlp has none",
        "use readout=head",
    ),
    (["readout=label_words"], "readout=label_words needs a language-model head", "readout=head or linear"),
    (
        ["readout=label_words", SMOLLM2, "method=head_only"],
        "readout=label_words has none",
        "use readout=head",
    ),
    (["method=bitfit", SMOLLM2], "method=bitfit trains bias terms", "use method=lora or head_only"),
    (["readout=linear", "model=flan_t5_base"], "model=flan_t5_base has two stacks", "use readout=head"),
    (["encoding=pixels_rows"], "encoding=pixels_rows writes images, and dataset=reviews", "text or pair"),
    (["dataset=digits", "encoding=text"], "encoding=text writes texts, and dataset=digits", "pixels_rows"),
    ([*FILES, "encoding=pair"], "encoding=pair needs a second text", "dataset.text_pair=COLUMN"),
    ([*FILES, "dataset.text_pair=b"], "dataset.text_pair=b is not read by encoding=text", "encoding=pair"),
    (["encoding.max_length=513"], "encoding.max_length=513 is longer than model=minilm", "at most 512"),
    (["lora.r=385"], "lora.r=385 is larger than the narrowest adapted layer of model=minilm", "at most 384"),
    (["lora.r=193", SMOLLM2], "lora.r=193 is larger", "at most 192"),
]
ALLOWED = [
    ["dataset=digits", "model=mlp", "method=full"],
    ["method=qlora"],
    ["method=bitfit"],
    ["method=head_only", SMOLLM2],
    ["readout=label_words", SMOLLM2],
    ["readout=linear"],
    ["dataset=digits", "encoding=pixels_rows"],
    [*FILES, "encoding=pair", "dataset.text_pair=b"],
    ["encoding.max_length=512"],
    ["lora.r=384"],
    ["lora.r=192", SMOLLM2],
    ["method=full", "lora.r=4096"],  # it has no rank
]


@pytest.mark.parametrize(
    ("words", "reason", "remedy"), REFUSED, ids=[" ".join(words) for words, _, _ in REFUSED]
)
def test_an_impossible_point_is_refused(
    make_config: Make, words: list[str], reason: str, remedy: str
) -> None:
    config = make_config(*words)
    found = list(problems(config))
    assert len(found) == 1
    assert reason in found[0]
    assert remedy in found[0].split(": ", 1)[1]
    with pytest.raises(BadConfig, match=r".+: .+"):
        check(config)


@pytest.mark.parametrize("words", ALLOWED, ids=[" ".join(words) for words in ALLOWED])
def test_a_possible_point_is_not(make_config: Make, words: list[str]) -> None:
    config = make_config(*words)
    assert list(problems(config)) == []
    check(config)


def test_every_rule_is_among_the_cases(make_config: Make) -> None:
    configs = [make_config(*words) for words, _, _ in REFUSED]
    assert [rule for rule in RULES if not any(rule.forbids(config) for config in configs)] == []


def test_a_target_outside_the_list_is_refused_before_peft_is_there(make_config: Make) -> None:
    config = make_config("method.peft._target_=os.system")
    with pytest.raises(BadConfig, match=r"_target_=os\.system is not allowed"):
        list(problems(config))


CODE = """
import runpy, sys
sys.argv = ["train.py", *sys.argv[1:]]
try:
    runpy.run_path("train.py", run_name="__main__")
finally:
    heavy = sorted({"torch", "peft", "transformers", "pytorch_lightning"} & set(sys.modules))
    print("loaded:", heavy)
"""


def test_all_problems_of_a_sweep_are_listed_and_nothing_is_loaded(tmp_path: Path) -> None:
    words = [
        "-m",
        "model=minilm,smollm2_135m",
        "method=bitfit,lora",
        "lora.r=8,300,500",
        "encoding.max_length=600",
    ]
    place = [f"runtime.store={tmp_path / 'store'}", f"hydra.sweep.dir={tmp_path}"]
    done = subprocess.run(
        [sys.executable, "-c", CODE, *words, *place], cwd=ROOT, capture_output=True, check=False, text=True
    )
    assert done.returncode == 1
    assert "loaded: []" in done.stdout
    said = done.stderr.strip()
    assert said.startswith("error: nothing was started: ")
    assert len(said.split("; ")) == 5
    for part in (
        "encoding.max_length=600 is longer than model=minilm can read: at most 512",
        "lora.r=500 is larger than the narrowest adapted layer of model=minilm: at most 384",
        "method=bitfit trains bias terms, and decoders such as model=smollm2_135m have none",
        "lora.r=300 is larger than the narrowest adapted layer of model=smollm2_135m: at most 192",
        "lora.r=500 is larger than the narrowest adapted layer of model=smollm2_135m: at most 192",
    ):
        assert part in said
    assert not (tmp_path / "store").exists()
