"""What cannot be, why, and what would work: the first rule that fits a cell speaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tunesweep.capabilities.cells import Cell

Where = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Rule:
    """Cells that have one of the values for every key of `where`, and none for any key of `unless`."""

    where: Where
    because: str
    remedy: str
    unless: Where = field(default_factory=dict)

    def forbids(self, cell: Cell) -> bool:
        """Whether this rule is against a cell."""
        facts = cell.facts()
        hits = all(facts[key] & set(values) for key, values in self.where.items())
        return hits and not any(facts[key] & set(values) for key, values in self.unless.items())

    def sentence(self, cell: Cell) -> str:
        """Return why, and what would work."""
        return f"{self.because}: {self.remedy}".format(**cell.words())


def why_not(cell: Cell) -> str | None:
    """Return why a cell cannot be; None where it can."""
    return next((rule.sentence(cell) for rule in RULES if rule.forbids(cell)), None)


_VISION = (
    Rule(
        where={"family": ("vision",), "readout": ("linear", "label_words", "generate")},
        because="{readout} reads a language model, and {model} is none",
        remedy="use readout=head",
    ),
    Rule(
        where={"family": ("vision",), "quantisation": ("nf4",)},
        because="{method} holds its base in 4 bits, which is for language models, and {model} is small",
        remedy="use method=full, or method.quantisation=null",
    ),
    Rule(
        where={"family": ("vision",), "checkpointing": ("on",)},
        because="{model} has no layers that could be checkpointed",
        remedy="set runtime.gradient_checkpointing=false",
    ),
    Rule(
        where={"family": ("vision",), "method": ("untrained", "virtual_tokens")},
        because="{method} puts text before the text, and {model} reads pictures",
        remedy="use method=full",
    ),
    Rule(
        where={"family": ("vision",), "method": ("layers",)},
        because="{method} stands behind attention and feed-forward blocks, and {model} has none",
        remedy="use method=full, or method=lora from a run with model.init_from=RUN",
    ),
    Rule(
        where={"family": ("vision",)},
        unless={"method": ("every_weight",), "model": ("started",)},
        because="{method} adapts trained weights, and {model} starts from none",
        remedy="use method=full, or start from a run that trained it with model.init_from=RUN",
    ),
)

_READOUTS = (
    Rule(
        where={"family": ("encoder",), "readout": ("generate",)},
        because="{readout} writes token after token, and {model} (encoder) reads all of a text at once",
        remedy="use readout=head, linear or label_words, or a decoder such as model=smollm2_135m",
    ),
    Rule(
        where={"method": ("untrained",), "readout": ("head", "linear")},
        because="{method} trains nothing, and the head of {readout} is new, so it would guess",
        remedy="use readout=label_words or generate, or a method that trains, such as head_only",
    ),
    Rule(
        where={"method": ("head_alone",), "readout": ("label_words", "generate")},
        because="{method} trains a classification head, and {readout} has none",
        remedy="use readout=head or linear, or method=lora",
    ),
)

_BASE = (
    Rule(
        where={"quantisation": ("nf4",), "method": ("base_weights",)},
        because="{method} trains weights of the base itself, and 4-bit weights cannot be trained",
        remedy="use method=qlora, or method.quantisation=null",
    ),
    Rule(
        where={"method": ("biases",), "family": ("decoder", "encoder_decoder")},
        because="{method} trains bias terms, and models such as {model} have none",
        remedy="use method=lora or head_only",
    ),
)

_VIRTUAL = (
    Rule(
        where={"method": ("past",), "checkpointing": ("on",)},
        because="{method} gives keys and values beforehand, which gradient checkpointing throws away",
        remedy="set runtime.gradient_checkpointing=false, or use method=prompt_tuning or lora",
    ),
    Rule(
        where={"method": ("past",), "model": ("no_past",)},
        because="{method} gives keys and values beforehand, and the attention of {model} takes none",
        remedy="use method=prompt_tuning, p_tuning or lora",
    ),
    Rule(
        where={"method": ("virtual_tokens",), "family": ("encoder",), "readout": ("label_words",)},
        because="{method} puts virtual tokens before the text, which PEFT cannot for a masked-language model",
        remedy="use readout=head or linear, or method=lora",
    ),
    Rule(
        where={"method": ("virtual_tokens",), "family": ("encoder_decoder",), "readout": ("head",)},
        because="{method} puts virtual tokens before the text, and the classification model of {model} takes "
        "no embeddings and no keys and values",
        remedy="use readout=label_words or generate, or method=lora",
    ),
    Rule(
        where={"method": ("past",), "family": ("encoder_decoder",), "readout": ("linear",)},
        because="{method} gives keys and values beforehand, and the encoder of {model} takes none",
        remedy="use readout=label_words or generate, or method=prompt_tuning or lora",
    ),
)

RULES = (*_VISION, *_READOUTS, *_BASE, *_VIRTUAL)
