"""A GGUF file as an ordinary model folder: converted once, whoever asks first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tunesweep.data.location import file_digest
from tunesweep.errors import BadData
from tunesweep.models.folders import made_once


def converted(path: Path, cache: Path) -> Path:
    """Return the folder with the file's model in bf16 safetensors, and its tokenizer.

    Its name is the content's.
    """
    return made_once(cache / "models" / file_digest(path, cache)[:16], lambda: _read(path))


def _read(path: Path) -> tuple[Any, ...]:
    """Return model and tokenizer; both have `save_pretrained`."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    try:
        # Without `dequantize` the blocks would stay packed, and `save_pretrained` refuses them.
        blocks = GgufConfig(gguf_file=path.name, dequantize=True)
        model = AutoModelForCausalLM.from_pretrained(
            path.parent, gguf_file=path.name, dtype=torch.bfloat16, quantization_config=blocks
        )
        return model, AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    except Exception as error:  # a broken header surfaces as almost anything
        reason = f"{path} cannot be read as a GGUF model ({type(error).__name__}: {error})"
        raise BadData(f"{reason}: fetch the file again, or choose another by model.file") from error
