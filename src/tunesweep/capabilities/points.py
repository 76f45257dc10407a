"""Why a configuration cannot be carried out, asked in planning."""

from __future__ import annotations

from collections.abc import Iterator

from tunesweep.build import build, check_target
from tunesweep.capabilities.cells import Cell, traits
from tunesweep.capabilities.rules import why_not
from tunesweep.config import ReadoutConfig, RunConfig
from tunesweep.data.encodings.checks import misfit
from tunesweep.errors import BadConfig
from tunesweep.methods import hooks, options
from tunesweep.models import sources
from tunesweep.parallel import refusals

# Architectures, as a config.json names them, whose weights hold a language-model head.
LANGUAGE_HEADS = ("ForMaskedLM", "ForPreTraining", "ForCausalLM", "ForConditionalGeneration", "LMHeadModel")
TASK_FAMILIES = {"language_modeling": ("decoder",), "instruction": ("decoder", "encoder_decoder")}


def problems(config: RunConfig) -> Iterator[str]:
    """Yield, one sentence each, why a point cannot be carried out."""
    _check_method(config)
    if reason := why_not(cell_of(config)):
        yield reason
    else:
        yield from _language_head_problems(config)
    yield from _task_problems(config)
    yield from _encoding_problems(config)
    yield from _size_problems(config)
    yield from refusals.problems(config)


def check(config: RunConfig) -> None:
    """Refuse an impossible point with the first reason."""
    for problem in problems(config):
        raise BadConfig(problem)


def cell_of(config: RunConfig) -> Cell:
    """Return the cell of the matrix that a point lies in."""
    model = config.model
    of_model = {"started": model.init_from is not None, "no_past": not model.past_key_values}
    return Cell(
        method=config.method.name,
        traits=traits(config.method),
        family=model.family,
        quantisation=config.method.quantisation or "none",
        checkpointing="on" if config.runtime.gradient_checkpointing else "off",
        readout=config.readout.name,
        model=model.name,
        model_traits=frozenset(name for name, holds in of_model.items() if holds),
    )


def _check_method(config: RunConfig) -> None:
    """Refuse what a method's YAML must not name, though PEFT and torch are loaded much later."""
    method = config.method
    hooks.find(config)
    if method.layers is not None:
        options.read(method.layers)
    if method.peft is not None:
        check_target(str(method.peft.get("_target_")))


def _task_problems(config: RunConfig) -> Iterator[str]:
    dataset, model, task = config.dataset, config.model, config.dataset.task
    if model.family == "vision" and dataset.modality != "image":
        yield (
            f"model={model.name} reads pictures, and dataset={dataset.name} is text: "
            "use dataset=digits, mnist or fashion_mnist, or a language model such as model=minilm"
        )
    asked = [f"runtime.kernels={config.runtime.kernels}"] if config.runtime.kernels != "standard" else []
    asked += ["runtime.compile=true"] if config.runtime.compile else []
    if model.family == "vision" and asked:
        yield f"{asked[0]} is for the layers of language models, and model={model.name} is none: leave it out"
    families = TASK_FAMILIES.get(task)
    if families and (config.readout.name != "generate" or model.family not in families):
        kinds = " or ".join(family.replace("_", "-") for family in families)
        yield (
            f"dataset={dataset.name} ({task}) is written by a language model, and this is "
            f"readout={config.readout.name} of model={model.name} ({model.family}): "
            f"use readout=generate and a model of family {kinds}"
        )
    usual = ReadoutConfig(name=config.readout.name)
    for key in ("prompt", "words", "constrain") if task != "classification" else ():
        if getattr(config.readout, key) != getattr(usual, key):
            yield (
                f"readout.{key} is about classes, and dataset={dataset.name} ({task}) has none: "
                "leave it out; instructions are asked by encoding.template"
            )
    if task == "language_modeling" and config.method.shots.k:
        yield (
            f"method={config.method.name} shows solved examples, and dataset={dataset.name} ({task}) has "
            "none: use method=zero_shot, or method.shots.k=0"
        )
    if config.method.trained and config.method.shots.k and not config.readout.prompted:
        yield (
            f"method.shots.k={config.method.shots.k} puts solved examples into a prompt, and "
            f"readout={config.readout.name} has none: use readout=label_words or generate, or set it to 0"
        )


def _language_head_problems(config: RunConfig) -> Iterator[str]:
    """Refuse a prompt for weights that are known to lack a language-model head."""
    if not config.readout.prompted or config.model.family == "vision":
        return
    names = sources.describe(config.model).get("architectures") or ()
    if names and not any(str(name).endswith(LANGUAGE_HEADS) for name in names):
        yield (
            f"readout={config.readout.name} needs a language-model head, and the weights of "
            f"model={config.model.name} ({names[0]}) have none: use readout=head or linear, or a model with "
            "one, such as smollm2_135m"
        )


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
    elif wanted == "text" and (problem := misfit(encoding, config.dataset)):
        yield problem
    yield from _length_problems(config, encoding.max_length)


def _length_problems(config: RunConfig, length: int) -> Iterator[str]:
    model, limit = config.model, config.model.max_length
    virtual = int((config.method.peft or {}).get("num_virtual_tokens") or 0)
    if not limit or length + virtual <= limit:
        return
    beside = f" beside {virtual} virtual tokens of method={config.method.name}" if virtual else ""
    yield (
        f"encoding.max_length={length} is longer than model={model.name} can read{beside}: "
        f"at most {limit - virtual}"
    )


def _size_problems(config: RunConfig) -> Iterator[str]:
    if not config.runtime.point.uses_lora:
        return
    width = sources.width(config.model)
    if width and config.lora.r > width:
        yield (
            f"lora.r={config.lora.r} is larger than the narrowest adapted layer of "
            f"model={config.model.name}: at most {width}"
        )


def learns_from_features(config: RunConfig) -> bool:
    """Whether a point trains a head alone, on one vector an example that no dropout changes."""
    single = config.runtime.strategy == "single" and config.model.family != "vision"
    reads = config.readout.name == "linear" or (config.readout.name == "head" and len(config.model.head) == 1)
    return single and reads and config.train.dropout == 0 and "head_alone" in traits(config.method)


def packs(config: RunConfig) -> bool:
    """Whether a point's batches are packed: those of a decoder that writes, with nothing before each text."""
    writes = config.readout.name == "generate" or config.dataset.task != "classification"
    nothing_before = not config.method.shots.k and "virtual_tokens" not in traits(config.method)
    return config.runtime.packing and config.model.family == "decoder" and writes and nothing_before
