"""What the matrix forbids: by which rule, and in which words; the expectation is written down by names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tunesweep.capabilities import RULES, Cell, cells, why_not
from tunesweep.capabilities.catalogue import methods

CELLS = list(cells(methods([Path(__file__).parents[2] / "conf"])))
FORBIDDEN = [cell for cell in CELLS if why_not(cell) is not None]

# Value and reason, then what would work.
SAID = {
    "reads words": (r"readout=\w+ reads a language model, and a reference model is none", "use readout=head"),
    "4-bit vision": (r"method=\w+ holds its base in 4 bits, .* reference model is small", "use method=full"),
    "no layers": (
        r"a reference model has no layers that could be",
        "set runtime.gradient_checkpointing=false",
    ),
    "no text": (r"method=\w+ puts text before .*, and a reference model reads pictures", "use method=full"),
    "no blocks": (r"method=bottleneck stands behind .*, and a reference model has none", "use method=full"),
    "from none": (r"method=\w+ adapts trained weights, and .* starts from none", "use method=full, or start"),
    "cannot write": (r"readout=generate writes .*, and an encoder \(encoder\) reads all", "use readout=head"),
    "would guess": (r"method=\w+_shot trains nothing, .* readout=(head|linear) is new", "use readout=label_"),
    "no head": (r"method=head_only trains a .* head, and readout=\w+ has none", "use readout=head or linear"),
    "4-bit base": (r"method=(full|bitfit) trains weights of the base itself, and 4-bit", "use method=qlora"),
    "no biases": (
        r"method=bitfit trains bias terms, and models such as an? \S+coder have",
        "use method=lora",
    ),
    "dropped": (
        r"method=prefix_tuning gives keys .* checkpointing throws away",
        "set runtime.gradient_check",
    ),
    "masked": (
        r"method=p\w+ puts virtual tokens .* for a masked-language model",
        "use readout=head or linear",
    ),
    "T5 head": (r"method=p\w+ puts .* model of an encoder-decoder takes no embeddings", "use readout=label_"),
    "T5 encoder": (
        r"method=prefix_tuning gives .* encoder of an encoder-decoder takes none",
        "use readout=l",
    ),
}


def expected(cell: Cell) -> str | None:
    """Return what a cell is refused for: the first of these that holds."""
    asks = cell.method in ("zero_shot", "few_shot")
    prefix = cell.method == "prefix_tuning"
    virtual = prefix or cell.method in ("p_tuning", "prompt_tuning")
    vision, quantised = cell.family == "vision", cell.quantisation == "nf4"
    checkpointed, spot = cell.checkpointing == "on", (cell.family, cell.readout)
    reasons = {
        "reads words": vision and cell.readout != "head",
        "4-bit vision": vision and quantised,
        "no layers": vision and checkpointed,
        "no text": vision and (asks or virtual),
        "no blocks": vision and cell.method == "bottleneck",
        "from none": vision and cell.method != "full",
        "cannot write": spot == ("encoder", "generate"),
        "would guess": asks and cell.readout in ("head", "linear"),
        "no head": cell.method == "head_only" and cell.readout in ("label_words", "generate"),
        "4-bit base": quantised and cell.method in ("full", "bitfit"),
        "no biases": cell.method == "bitfit" and cell.family in ("decoder", "encoder_decoder"),
        "dropped": prefix and checkpointed,
        "masked": virtual and spot == ("encoder", "label_words"),
        "T5 head": virtual and spot == ("encoder_decoder", "head"),
        "T5 encoder": prefix and spot == ("encoder_decoder", "linear"),
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


@pytest.mark.parametrize("cell", FORBIDDEN, ids=lambda cell: cell.id)
def test_a_forbidden_cell_says_why_and_what_would_work(cell: Cell) -> None:
    because, remedy = SAID[str(expected(cell))]
    why = why_not(cell) or ""
    assert re.match(because, why)
    assert why.partition(": ")[2].startswith(remedy)


def test_what_is_not_expected_to_be_forbidden_is_not() -> None:
    assert [cell.id for cell in CELLS if expected(cell)] == [cell.id for cell in FORBIDDEN]
    assert len(FORBIDDEN) == 960 - 489


def test_every_rule_forbids_a_cell_or_is_about_one_model() -> None:
    speaking = [next(rule for rule in RULES if rule.forbids(cell)) for cell in FORBIDDEN]
    silent = [rule for rule in RULES if rule not in speaking]
    assert silent == [rule for rule in RULES if "model" in rule.where]


def test_a_prefix_is_refused_where_a_model_says_that_it_takes_none() -> None:
    prefix = next(cell for cell in CELLS if cell.method == "prefix_tuning" and cell.family == "encoder")
    cell = Cell("prefix_tuning", prefix.traits, "encoder", model="x", model_traits=frozenset({"no_past"}))
    assert "the attention of model=x takes none: use method=prompt_tuning" in (why_not(cell) or "")
