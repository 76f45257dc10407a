"""Which method goes with which model, readout, encoding and runtime: data, checked before anything loads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tunesweep.build import build, check_target
from tunesweep.config import RunConfig
from tunesweep.errors import BadConfig
from tunesweep.models import sources


@dataclass(frozen=True)
class Rule:
    """A combination that cannot be, why, and what would work."""

    forbids: Callable[[RunConfig], bool]
    because: Callable[[RunConfig], str]


RULES = (
    Rule(
        lambda c: bool(c.method.quantisation) and c.model.family == "vision",
        lambda c: (
            f"method={c.method.name} quantises a pretrained language model to 4 bits, and "
            f"model={c.model.name} is a small vision model: use method=full"
        ),
    ),
    Rule(
        lambda c: not c.method.full and not c.method.quantisation and c.model.family == "vision",
        lambda c: (
            f"method={c.method.name} adapts pretrained weights, and model={c.model.name} starts "
            "from none: use method=full"
        ),
    ),
    Rule(
        lambda c: c.model.family == "vision" and c.dataset.modality != "image",
        lambda c: (
            f"model={c.model.name} reads pictures, and dataset={c.dataset.name} is text: "
            "use dataset=digits, mnist or fashion_mnist, or a language model such as model=minilm"
        ),
    ),
    Rule(
        lambda c: c.model.family == "vision" and c.readout.name != "head",
        lambda c: (
            f"readout={c.readout.name} reads a language model's hidden states, and "
            f"model={c.model.name} has none: use readout=head"
        ),
    ),
    Rule(
        lambda c: c.readout.name == "label_words" and c.model.family != "decoder",
        lambda c: (
            f"readout=label_words needs a language-model head, and model={c.model.name} "
            f"({c.model.family}) has none here: use readout=head or linear, or model=smollm2_135m"
        ),
    ),
    Rule(
        lambda c: c.readout.name == "label_words" and c.method.name == "head_only",
        lambda c: (
            "method=head_only trains a classification head, and readout=label_words has none: "
            "use readout=head, or method=lora"
        ),
    ),
    Rule(
        lambda c: c.method.name == "bitfit" and c.model.family == "decoder",
        lambda c: (
            f"method=bitfit trains bias terms, and decoders such as model={c.model.name} have none: "
            "use method=lora or head_only"
        ),
    ),
    Rule(
        lambda c: c.readout.name == "linear" and c.model.family == "encoder_decoder",
        lambda c: (
            f"readout=linear pools one hidden state per token, and model={c.model.name} has two stacks: "
            "use readout=head"
        ),
    ),
)


def problems(config: RunConfig) -> Iterator[str]:
    """Yield, one sentence each, why a point cannot be carried out."""
    if config.method.peft is not None:
        check_target(str(config.method.peft.get("_target_")))  # here, though PEFT is loaded much later
    for rule in RULES:
        if rule.forbids(config):
            yield rule.because(config)
    yield from _encoding_problems(config)
    yield from _size_problems(config)


def check(config: RunConfig) -> None:
    """Refuse an impossible point with the first reason."""
    for problem in problems(config):
        raise BadConfig(problem)


def _encoding_problems(config: RunConfig) -> Iterator[str]:
    if config.model.family == "vision":
        return
    encoding = build(config.encoding)  # options of the wrong kind are refused here
    wanted, name = encoding.modality, encoding.name
    if wanted != config.dataset.modality:
        remedy = "pixels_rows, binary_flat" if wanted == "text" else "text or pair"
        yield (
            f"encoding={name} writes {wanted}s, and dataset={config.dataset.name} is made of "
            f"{config.dataset.modality}s: use encoding={remedy}"
        )
    elif name == "pair" and not config.dataset.text_pair:
        yield "encoding=pair needs a second text: name its column, dataset.text_pair=COLUMN"
    elif name == "text" and config.dataset.text_pair:
        yield f"dataset.text_pair={config.dataset.text_pair} is not read by encoding=text: use encoding=pair"
    limit, length = config.model.max_length, encoding.max_length
    if limit and length > limit:
        model = config.model.name
        yield f"encoding.max_length={length} is longer than model={model} can read: at most {limit}"


def _size_problems(config: RunConfig) -> Iterator[str]:
    if not config.runtime.point.uses_lora:
        return
    width = sources.width(config.model)
    if width and config.lora.r > width:
        yield (
            f"lora.r={config.lora.r} is larger than the narrowest adapted layer of "
            f"model={config.model.name}: at most {width}"
        )
