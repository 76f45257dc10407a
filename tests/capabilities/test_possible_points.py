"""What cannot be is refused in planning, with what would work."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tunesweep.capabilities import check, problems
from tunesweep.config import RunConfig
from tunesweep.errors import BadConfig

Make = Callable[..., RunConfig]
ROOT = Path(__file__).parents[2]
FILES = ("dataset=files", "dataset.train=x.csv")
SMOLLM2 = "model=smollm2_135m"

REFUSED = [
    (["dataset=digits", "model=mlp", "method=qlora"], "method=qlora holds its base", "use method=full"),
    (["dataset=digits", "model=cnn", "method=lora"], "method=lora adapts trained weights", "use method=full"),
    (
        ["dataset=digits", "model=cnn", "method=head_only"],
        "model=cnn starts from none",
        "model.init_from=RUN",
    ),
    (["dataset=digits", "model=cnn", "method=bottleneck"], "model=cnn has none", "method=lora"),
    (["dataset=digits", "model=mlp", "method=p_tuning"], "model=mlp reads pictures", "use method=full"),
    (
        ["dataset=digits", "model=mlp", "method=full", "runtime.gradient_checkpointing=true"],
        "model=mlp has no layers",
        "gradient_checkpointing=false",
    ),
    (
        ["dataset=digits", "model=mlp", "method=full", "runtime.compile=true"],
        "runtime.compile=true is for the layers of language models, and model=mlp is none",
        "leave it out",
    ),
    (["dataset=reviews", "model=mlp", "method=full"], "model=mlp reads pictures", "model=minilm"),
    (
        ["dataset=digits", "model=mlp", "method=full", "readout=linear"],
        "model=mlp is none",
        "use readout=head",
    ),
    (["readout=label_words"], "readout=label_words needs a language-model head", "readout=head or linear"),
    (["readout=generate"], "readout=generate writes token after token", "model=smollm2_135m"),
    (
        ["readout=label_words", SMOLLM2, "method=head_only"],
        "readout=label_words has none",
        "use readout=head",
    ),
    (["method=zero_shot"], "method=zero_shot trains nothing", "use readout=label_words or generate"),
    (
        ["method=lora", "method.shots.k=4"],
        "solved examples into a prompt, and readout=head",
        "label_words or",
    ),
    (
        [SMOLLM2, "dataset=alpaca", "readout=generate", "readout.prompt='Do: {text}'"],
        "readout.prompt is about classes, and dataset=alpaca (instruction) has none",
        "encoding.template",
    ),
    (["method=full", "method.quantisation=nf4"], "4-bit weights cannot be trained", "use method=qlora"),
    (["method=bitfit", SMOLLM2], "method=bitfit trains bias terms", "use method=lora or head_only"),
    (
        ["method=prefix_tuning", "runtime.gradient_checkpointing=true"],
        "gradient checkpointing throws away",
        "use method=prompt_tuning",
    ),
    (["method=prefix_tuning", "model=deberta_v3_base"], "the attention of model=deberta_v3_base", "p_tuning"),
    (
        ["method=p_tuning", "model=flan_t5_base"],
        "classification model of model=flan_t5_base",
        "readout=label",
    ),
    (
        ["method=prefix_tuning", "model=flan_t5_base", "readout=linear"],
        "the encoder of model=flan_t5_base takes none",
        "prompt_tuning",
    ),
    (
        ["method=prompt_tuning", "model=roberta_base", "readout=label_words"],
        "PEFT cannot for a masked-language model",
        "use readout=head",
    ),
    (["encoding=pixels_rows"], "encoding=pixels_rows writes images, and dataset=reviews", "text or pair"),
    (["dataset=digits", "encoding=text"], "encoding=text writes texts, and dataset=digits", "pixels_rows"),
    ([*FILES, "encoding=pair"], "encoding=pair reads text, text_pair", "set dataset.text_pair"),
    ([*FILES, "dataset.text_pair=b"], "encoding=text reads text, and dataset=files gives text, b", "pair"),
    (["encoding.max_length=513"], "encoding.max_length=513 is longer than model=minilm", "at most 512"),
    (
        ["encoding.max_length=500", "method=prompt_tuning"],
        "beside 20 virtual tokens of method=prompt_tuning",
        "at most 492",
    ),
    (["lora.r=385"], "lora.r=385 is larger than the narrowest adapted layer of model=minilm", "at most 384"),
    (["lora.r=193", SMOLLM2], "lora.r=193 is larger", "at most 192"),
]
ALLOWED = [
    ["dataset=digits", "model=mlp", "method=full"],
    ["dataset=digits", "model=mlp", "method=lora", "model.init_from=0123456789abcdef"],
    ["method=qlora"],
    ["method=bitfit"],
    ["method=head_only", SMOLLM2],
    ["readout=label_words", SMOLLM2],
    ["readout=label_words", SMOLLM2, "method=few_shot"],
    ["readout=generate", SMOLLM2, "method=zero_shot", "method.quantisation=nf4"],
    ["readout=label_words", "model=roberta_base"],
    ["readout=linear"],
    ["readout=linear", "model=flan_t5_base"],
    ["method=prompt_tuning", "runtime.gradient_checkpointing=true"],
    ["method=prompt_tuning", "encoding.max_length=492"],
    ["dataset=digits", "encoding=pixels_rows"],
    [*FILES, "encoding=pair", "dataset.text_pair=b"],
    ["encoding.max_length=512"],
    ["lora.r=384"],
    ["lora.r=192", SMOLLM2],
    ["method=full", "lora.r=4096"],  # it has no rank
    ["method=vera", "method.peft.r=4096"],  # its rank is another thing
]
MISNAMED = [
    ("method.peft._target_=os.system", r"_target_=os\.system is not allowed"),
    ("method.hook=adalor", r"method\.hook=adalor is not an option: .*did you mean 'adalora'"),
]
NO_LAYERS = [
    ("method.layers.placement=behind", r"placement=behind is not an option: choose one of houlsby, pfeiffer"),
    ("method.layers.activation=swish", r"activation=swish is not an option: choose one of relu, gelu"),
    ("method.layers.kind=adapter", r"method\.layers\.kind=adapter is not an option: .*bottleneck"),
    ("method.layers.reduction=0", r"method\.layers\.reduction=0 must be above zero"),
    ("+method.layers.widht=8", r"method\.layers\.widht is not an option: .*did you mean 'width'"),
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


@pytest.mark.parametrize(("word", "says"), MISNAMED)
def test_what_a_method_must_not_name_is_refused_before_peft_is_there(
    make_config: Make, word: str, says: str
) -> None:
    config = make_config(word)
    with pytest.raises(BadConfig, match=says):
        list(problems(config))


@pytest.mark.parametrize(("word", "says"), NO_LAYERS)
def test_options_of_layers_of_ours_are_checked(make_config: Make, word: str, says: str) -> None:
    with pytest.raises(BadConfig, match=says):
        list(problems(make_config("method=bottleneck", word)))


TASKS = [
    (["dataset=wikitext2", "readout=head"], "readout=head of model=minilm (encoder)", "family decoder"),
    (
        ["dataset=alpaca", "readout=label_words", SMOLLM2],
        "alpaca (instruction) is written",
        "readout=generate",
    ),
    (
        ["dataset=wikitext2", "readout=generate", SMOLLM2, "method=few_shot"],
        "method=few_shot shows solved examples, and dataset=wikitext2",
        "method=zero_shot",
    ),
]


@pytest.mark.parametrize(("words", "reason", "remedy"), TASKS)
def test_a_written_task_needs_a_model_that_writes(
    make_config: Make, words: list[str], reason: str, remedy: str
) -> None:
    found = [problem for problem in problems(make_config(*words)) if reason in problem]
    assert len(found) == 1
    assert remedy in found[0].split(": ", 1)[1]


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
        "method=bitfit trains bias terms, and models such as model=smollm2_135m have none",
        "lora.r=300 is larger than the narrowest adapted layer of model=smollm2_135m: at most 192",
        "lora.r=500 is larger than the narrowest adapted layer of model=smollm2_135m: at most 192",
    ):
        assert part in said
    assert not (tmp_path / "store").exists()
