"""A point's network before its method: weights, dtype, attention, PAD and quantisation, decided here."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tunesweep.capabilities import packs
from tunesweep.config import FAMILIES, RunConfig
from tunesweep.data.module import DataModule
from tunesweep.errors import BadConfig, suggest
from tunesweep.models import packing, prompted, random_models, sources
from tunesweep.models.compiled import check_compiler
from tunesweep.models.readouts import Linear, Pixels, Readout, Standard
from tunesweep.models.reference import reference

# What a readout loads, by family; the encoder stack alone is pooled, so that every weight has a gradient.
AUTO_CLASSES = {
    "head": dict.fromkeys(FAMILIES, "AutoModelForSequenceClassification"),
    "linear": {
        "encoder": "AutoModel",
        "decoder": "AutoModel",
        "encoder_decoder": "AutoModelForTextEncoding",
    },
    "label_words": random_models.WHOLE,
    "generate": {family: random_models.WHOLE[family] for family in ("decoder", "encoder_decoder")},
}


def build_network(config: RunConfig, data: DataModule, device: torch.device) -> Readout:
    """Return the readout on its backbone, nothing trained or frozen yet, on the device."""
    if config.model.family == "vision":
        size = data.splits.test.inputs.shape[-1]  # type: ignore[union-attr]
        return Pixels(reference(config.model, size, len(data.names))).to(device)
    body = load_body(config, data, device)
    network = _readout(config, body, data)
    if isinstance(network, Standard):
        _settle_head(config, body)
    network = network.to(device)
    if packs(config):
        packing.check(body, device, compute_dtype(config))
    return network


def _settle_head(config: RunConfig, body: nn.Module) -> None:
    """Hold the head in 32 bits, in which it is learned (R10)."""
    modules = dict(body.named_modules())
    for name in config.model.head:
        if name not in modules:
            options = suggest(name, [key for key, _ in body.named_children()])
            raise BadConfig(f"model.head names '{name}', which the model does not have: {options}")
        modules[name].float()


def _readout(config: RunConfig, body: nn.Module, data: DataModule) -> Readout:
    readout, kind = config.readout, _kind(config)
    if kind == "generate":
        return prompted.generator(config, body, data)
    if kind == "head":
        return Standard(body, *config.model.head[:1])
    if kind == "linear":
        if "pooler" in dict(body.named_children()):
            body.register_module("pooler", None)  # not read by ours, so it could not learn
        pooling = config.model.pooling if readout.pooling == "auto" else readout.pooling
        return Linear(body, body.config.hidden_size, len(data.names), pooling)  # type: ignore[union-attr, arg-type]
    return prompted.label_words(config, body, data)


def _kind(config: RunConfig) -> str:
    """Return the readout; a task without classes leaves the language-model head alone."""
    return config.readout.name if config.dataset.task == "classification" else "generate"


def auto_class(config: RunConfig) -> str:
    """Return the transformers class that a point loads."""
    families = AUTO_CLASSES[_kind(config)]
    if config.model.family not in families:
        raise BadConfig(
            f"model={config.model.name} is an {config.model.family} and cannot write: use a decoder such as "
            "model=smollm2_135m, or an encoder-decoder"
        )
    return families[config.model.family]


def load_body(config: RunConfig, data: DataModule, device: torch.device) -> nn.Module:
    """Load pretrained weights as the readout needs them; refuse a file that lacks some."""
    import transformers

    check_kernels(config, device)
    if config.runtime.compile:
        check_compiler(device)
    auto = getattr(transformers, auto_class(config))
    folder = _folder(config, data)
    try:
        body, info = auto.from_pretrained(
            str(folder),
            config=_architecture(config, data, folder),
            output_loading_info=True,
            **_weights(config, device),
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        if packing.PACKED in str(error):
            raise BadConfig(packing.refusal(auto.__name__, "its attention is its own")) from error
        raise BadConfig(_loading_sentence(config, error)) from error
    _check_complete(config, info)
    tame_four_bit(body, compute_dtype(config))
    use_kernels(body, config)
    if config.runtime.gradient_checkpointing:
        body.gradient_checkpointing_enable({"use_reentrant": False})
    return body  # type: ignore[no-any-return]


def _folder(config: RunConfig, data: DataModule) -> Path | str:
    cache = Path(config.runtime.cache)
    if config.model.random:
        return random_models.drawn(config.model, data.tokenizer, config.seeds.init, cache)
    return sources.weights_folder(config.model, cache)


def _loading_sentence(config: RunConfig, error: Exception) -> str:
    reason = str(error).strip().split("\n")[0]
    remedy = "give a folder or hub id with this model's weights"
    return f"model.source={config.model.source} cannot be loaded: {reason}; {remedy}"


def _architecture(config: RunConfig, data: DataModule, folder: Path | str) -> Any:
    from transformers import AutoConfig

    architecture = AutoConfig.from_pretrained(
        str(folder),
        revision=config.model.revision or "main",
        trust_remote_code=config.model.trust_remote_code,
    )
    architecture.pad_token_id = data.tokenizer.pad_token_id
    if _kind(config) == "head":
        architecture.id2label = dict(enumerate(data.names))
        architecture.label2id = {name: index for index, name in enumerate(data.names)}
        architecture.problem_type = "single_label_classification"
    if _kind(config) in ("head", "linear"):
        architecture.use_cache = False  # keys and values of all layers, which nothing asks for
    if config.train.dropout is not None:
        _set_dropout(architecture, config.train.dropout)
    return architecture


def _set_dropout(architecture: Any, rate: float) -> None:
    """Set every dropout rate, by whichever name an architecture calls it."""
    for name, value in architecture.to_dict().items():
        is_rate = isinstance(value, int | float) and not isinstance(value, bool)
        if is_rate and ("dropout" in name or name.endswith("pdrop")):
            setattr(architecture, name, rate)


def _weights(config: RunConfig, device: torch.device) -> dict[str, Any]:
    """Return the arguments of `from_pretrained` that say how weights are held."""
    arguments: dict[str, Any] = {
        "dtype": base_dtype(config),
        "attn_implementation": attention(config, device),
        "trust_remote_code": config.model.trust_remote_code,
        "use_safetensors": True,
        "ignore_mismatched_sizes": True,  # a head for other classes is replaced; the rest is refused below
    }
    if config.model.revision:
        arguments["revision"] = config.model.revision
    if config.method.quantisation:
        arguments["quantization_config"] = _four_bit(config)
        if device.type == "cuda":
            arguments["device_map"] = {"": device}
    return arguments


def base_dtype(config: RunConfig) -> torch.dtype:
    """Return what the base is held in."""
    dtype: torch.dtype = getattr(torch, config.base_dtype)
    return dtype


def compute_dtype(config: RunConfig) -> torch.dtype:
    """Return what matrix products are computed in."""
    return torch.bfloat16 if config.train.precision == "bf16" else torch.float32


def attention(config: RunConfig, device: torch.device) -> str:
    """Return the attention kernel: on a CPU eager, whose backward was twice as fast for short texts."""
    flash = importlib.util.find_spec("flash_attn") and config.train.precision == "bf16"
    if config.runtime.attention != "auto":
        return config.runtime.attention
    if device.type == "cuda" and flash and config.model.family == "decoder":
        return "flash_attention_2"
    if packs(config):
        packing.register()
        return packing.PACKED
    return "eager" if device.type == "cpu" else "sdpa"


def check_kernels(config: RunConfig, device: torch.device) -> None:
    """Refuse Liger's kernels where there is no GPU."""
    if config.runtime.kernels == "liger" and device.type != "cuda":
        raise BadConfig(
            "runtime.kernels=liger is for a GPU, and this point runs on the CPU: leave it at standard"
        )


def use_kernels(body: nn.Module, config: RunConfig) -> None:
    """Put Liger's kernels into a model's layers, if asked; losses stay ours, and so do weights and names."""
    if config.runtime.kernels != "liger":
        return
    from liger_kernel.transformers.monkey_patch import MODEL_TYPE_TO_APPLY_LIGER_FN as KNOWN
    from transformers.integrations.liger import apply_liger_kernel

    if body.config.model_type not in KNOWN:  # type: ignore[union-attr]
        raise BadConfig(
            f"runtime.kernels=liger knows nothing of model={config.model.name} ({body.config.model_type}): "  # type: ignore[union-attr]
            "leave it at standard"
        )
    apply_liger_kernel(body, {"cross_entropy": False, "fused_linear_cross_entropy": False})


def _four_bit(config: RunConfig) -> Any:
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute_dtype(config),
        # A quantised new head cannot be trained; naming any loses transformers' own exception, lm_head.
        llm_int8_skip_modules=[*config.model.head, "lm_head"],
    )


def tame_four_bit(body: nn.Module, compute: torch.dtype) -> None:
    """Cure what bitsandbytes' 4-bit layers do behind one's back.

    On CPUs with AVX512-BF16 the first forward without gradients in eval mode would repack them, and
    from then on no gradient reaches the adapters: the loss stays flat and nothing is raised. Their
    first input would replace the compute dtype, and the first forward would cast their biases: both
    are settled here, so that the base stays as it was loaded, to the bit. And they give back the dtype
    that they are given, 32 bits after a norm, so that all between two products would be read and written
    at twice the width: they are given autocast's, as it gives it to any other linear layer.
    """
    for layer in four_bit_layers(body):
        layer.register_forward_pre_hook(_as_autocast_does)
        layer.register_forward_hook(_one_product_backwards)
        layer.support_avx512bf16_for_cpu = False
        layer.compute_dtype, layer.compute_type_is_set = compute, True
        if layer.bias is not None:
            layer.bias.data = layer.bias.data.to(compute)


def _as_autocast_does(_: nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    kind = inputs[0].device.type
    if not torch.is_autocast_enabled(kind):
        return inputs
    return tuple(tensor.to(torch.get_autocast_dtype(kind)) for tensor in inputs)


def _one_product_backwards(_: nn.Module, __: Any, output: torch.Tensor) -> None:
    """Let a gradient arrive contiguous: of one that is not, matmul makes a product for each example."""
    if output.requires_grad:
        output.register_hook(torch.Tensor.contiguous)  # type: ignore[no-untyped-call]


def four_bit_layers(body: nn.Module) -> list[Any]:
    """Return bitsandbytes' own layers; PEFT calls its wrappers by the same name."""
    kinds = {module: type(module) for module in body.modules()}
    return [
        m for m, k in kinds.items() if k.__name__ == "Linear4bit" and k.__module__.startswith("bitsandbytes")
    ]


def _check_complete(config: RunConfig, info: dict[str, Any]) -> None:
    """Refuse weights that lack a tensor of the backbone: it would be left at random, silently."""
    unread = ["pooler"] if _kind(config) == "linear" else []  # some checkpoints lack it; it is not used
    new = tuple(f"{name}." for name in [*config.model.head, *unread])
    missing = sorted(k for k in info["missing_keys"] if not k.startswith(new) and ".position_ids" not in k)
    if missing:
        raise BadConfig(
            f"model.source={config.model.source} lacks {len(missing)} tensors of this architecture "
            f"({missing[0]} is the first): it is the wrong weights file, or model.head={config.model.head} "
            "does not name every new module"
        )
    other = sorted((key, *shapes) for key, *shapes in info["mismatched_keys"] if not key.startswith(new))
    if other:
        name, found, wanted = other[0]
        raise BadConfig(
            f"model.source={config.model.source} has {len(other)} tensors of another shape than its config "
            f"says ({name} is {list(found)}, not {list(wanted)}): give weights and config.json of one model"
        )
