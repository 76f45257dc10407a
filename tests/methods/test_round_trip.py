"""What every method leaves on disk brings back, on a fresh base, what was said before it was written (R9)."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors import safe_open

import tiny_cells as tiny
from tunesweep.capabilities import Cell, cells, why_not
from tunesweep.capabilities.catalogue import methods
from tunesweep.errors import IntegrityError
from tunesweep.methods import artefact, hooks
from tunesweep.methods.attach import attach
from tunesweep.models.language import unwrapped
from tunesweep.silence import quiet_libraries

METHODS = methods([Path(__file__).parents[2] / "conf"])
PLACES = (
    *(("encoder", "head"), ("encoder", "linear"), ("decoder", "head"), ("decoder", "linear")),
    *(("decoder", "generate"), ("encoder_decoder", "head"), ("encoder_decoder", "label_words")),
)
CELLS = [
    cell
    for cell in cells(METHODS)
    if why_not(cell) is None
    and (cell.family, cell.readout) in PLACES
    and (cell.quantisation, cell.checkpointing) == ("none", "off")
    and "untrained" not in cell.traits
]
WRAPPED = [cell for cell in CELLS if "peft" in cell.traits and cell.readout in ("head", "generate")]


def trained(cell: Cell, *words: str, steps: int = 4, rate: float = 2e-2):
    config = tiny.config_of(cell, *words)
    network = tiny.build(cell)
    attach(network, config)
    tiny.learn(network, config, rate, steps)
    return network, config


def written(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.id)
def test_an_artefact_restores_everything(cell, tmp_path):
    with quiet_libraries():
        network, config = trained(cell)
        said, bare = tiny.says(network, tiny.rows(cell.family)), tiny.build(cell, seed=9)
        artefact.save(network, config, tmp_path)
        before = tiny.says(bare, tiny.rows(cell.family))
        artefact.load(bare, config, tmp_path)
        again = tiny.says(bare, tiny.rows(cell.family))
    assert not torch.allclose(before, said, atol=1e-3)
    torch.testing.assert_close(again, said, atol=1e-6, rtol=0)
    if "peft" in cell.traits:
        files = {"adapter_config.json", "adapter_model.safetensors", "README.md"}
        assert written(tmp_path) == files | ({"head.safetensors"} if cell.readout == "linear" else set())
    else:
        assert written(tmp_path) == {"trained.safetensors"}


@pytest.mark.filterwarnings("ignore:The following rank_pattern keys did not match")  # PEFT's, of AdaLoRA
@pytest.mark.parametrize("cell", WRAPPED, ids=lambda cell: cell.id)
def test_peft_alone_says_the_same(cell, tmp_path):
    one = tiny.alone(tiny.rows(cell.family), tiny.ROWS - 1)
    inputs = {key: one[key] for key in ("input_ids", "attention_mask")}
    with quiet_libraries():
        network, config = trained(cell)
        artefact.save(network, config, tmp_path)
    with quiet_libraries(), torch.no_grad():
        model = PeftModel.from_pretrained(unwrapped(tiny.build(cell, seed=9).body), str(tmp_path)).eval()
        logits = model(**inputs).logits
        if cell.readout == "head":
            torch.testing.assert_close(logits, tiny.says(network, one), atol=1e-5, rtol=0)
            return
        whole = torch.cat((one["input_ids"], one["answer_ids"]), 1)
        logits = model(input_ids=whole, attention_mask=torch.ones_like(whole)).logits
        count = int(one["answer_mask"].sum())
        chosen = logits[:, -count - 1 : -1].log_softmax(-1).gather(2, one["answer_ids"][:, :, None])
        torch.testing.assert_close(-chosen.sum().view(1), tiny.says(network, one), atol=1e-4, rtol=0)


def cell_of(method: str, family: str, readout: str) -> Cell:
    return next(c for c in CELLS if (c.method, c.family, c.readout) == (method, family, readout))


@pytest.mark.parametrize("kept", [0, 1, 5])
def test_adalora_of_an_earlier_epoch_keeps_the_ranks_of_that_epoch(tmp_path, kept):
    cell, steps = cell_of("adalora", "encoder", "head"), 6
    config = tiny.config_of(cell, "lora.r=4")
    with quiet_libraries():
        network, states = tiny.build(cell), []
        attach(network, config)
        hooks.prepare(network, config, steps)
        for step in range(steps):
            network.train()
            tiny.loss_of(network, tiny.rows("encoder")).backward()
            torch.optim.SGD([p for p in network.parameters() if p.grad is not None], lr=0.1).step()
            hooks.after_step(network, config, step, steps)
            states.append(artefact.trained_state(network))
        artefact.restore(network, states[kept])
        said = tiny.says(network, tiny.rows("encoder"))
        artefact.save(network, config, tmp_path)
        bare = tiny.build(cell, seed=9)
        artefact.load(bare, config, tmp_path)
        torch.testing.assert_close(tiny.says(bare, tiny.rows("encoder")), said, atol=1e-6, rtol=0)
    with safe_open(tmp_path / "adapter_model.safetensors", "pt") as file:
        ranks = sum(file.get_tensor(key).numel() for key in file.keys() if "lora_E" in key)  # noqa: SIM118
    singular = [tensor.flatten() for name, tensor in states[kept].items() if "lora_E" in name]
    left = [int((values != 0).sum()) for values in singular]
    assert ranks == sum(
        max(1, count) for count in left
    )  # a layer that lost all of its ranks keeps one of zero
    if kept == steps - 1:
        assert sum(left) == 2 * 4  # of two layers, each of four on average


def test_the_projection_of_a_prefix_is_not_kept_and_not_needed(tmp_path):
    cell = cell_of("prefix_tuning", "encoder", "head")
    words = ("method.peft.prefix_projection=true", "+method.peft.encoder_hidden_size=8")
    with quiet_libraries():
        network, config = trained(cell, *words)
        names = {n for n, p in network.named_parameters() if p.requires_grad}
        assert any("prompt_encoder.default.transform" in name for name in names)
        artefact.save(network, config, tmp_path)
        bare = tiny.build(cell, seed=9)
        artefact.load(bare, config, tmp_path)
        batch = tiny.rows("encoder")
        torch.testing.assert_close(tiny.says(bare, batch), tiny.says(network, batch), atol=1e-6, rtol=0)
    with safe_open(tmp_path / "adapter_model.safetensors", "pt") as file:
        assert not any("transform" in key for key in file.keys())  # noqa: SIM118


def test_a_file_that_lacks_a_layer_is_refused(tmp_path):
    cell = cell_of("bottleneck", "encoder", "head")
    with quiet_libraries():
        network, config = trained(cell)
        artefact.save(network, config, tmp_path)
        other = tiny.config_of(cell, "method.layers.placement=houlsby")
        with pytest.raises(IntegrityError, match=r"holds 6 tensors where 10 were promised"):
            artefact.load(tiny.build(cell), other, tmp_path)
