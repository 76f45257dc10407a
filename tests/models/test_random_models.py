"""Small random models: drawn from a seed, the same for every readout, and able to learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tunesweep.config import ModelConfig
from tunesweep.errors import BadConfig
from tunesweep.models import backbone, sources
from tunesweep.models.random_models import architecture
from tunesweep.models.tokenizer import load_tokenizer
from tunesweep.tasks import build_task
from workplace import FEW, at_work, attached, load

CONF = Path(__file__).parents[2] / "conf" / "model"
NAMES = sorted(path.stem for path in CONF.glob("random_*.yaml"))
# Of two tokens: after one alone, attention in a decoder has one place to look at, and nothing to learn.
WORDS = "+readout.words={fresh: a delight, rotten: bad}"
READOUTS = {
    "encoder": ("head", "linear", "label_words"),
    "decoder": ("head", "linear", "label_words", "generate"),
    "encoder_decoder": ("head", "linear", "label_words", "generate"),
}
CELLS = [
    (name, readout)
    for name, family in (
        ("random_bert", "encoder"),
        ("random_llama", "decoder"),
        ("random_t5", "encoder_decoder"),
    )
    for readout in READOUTS[family]
]


def test_all_are_called_random_and_say_so():
    assert NAMES == ["random_bert", "random_llama", "random_t5"]
    for name in NAMES:
        assert "small random model" in (CONF / f"{name}.yaml").read_text().splitlines()[0]
    others = [path for path in CONF.glob("*.yaml") if "source: random" in path.read_text()]
    assert {path.stem for path in others} == set(NAMES)


def base(config: Any) -> dict[str, torch.Tensor]:
    with attached(config) as work:
        return {name: p.detach().clone() for name, p in work.network.body.named_parameters()}


def take_steps(work: Any, steps: int, lr: float) -> list[float]:
    """Take AdamW steps on one batch by the task's own loss; return the losses."""
    task, losses = build_task(work.config, work.data), []
    optimizer = torch.optim.AdamW(work.network.parameters(), lr=lr)
    batch = next(iter(work.data.train_dataloader()))
    for _ in range(steps):
        optimizer.zero_grad()
        loss = task.losses(work.network, batch).sum()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize(("name", "readout"), CELLS)
def test_every_readout_finds_weights_and_every_weight_learns(make_config, name, readout):
    config = make_config(f"model={name}", f"readout={readout}", "method=full", WORDS, *FEW)
    with attached(config) as work:
        losses = take_steps(work, 4, lr=3e-3)
        assert losses[-1] < losses[0]
        silent = [n for n, p in work.network.named_parameters() if p.grad is None or not p.grad.any()]
        assert silent == []


@pytest.mark.parametrize("name", NAMES)
def test_weights_follow_from_the_seed_alone(make_config, name, tmp_path):
    words = (f"model={name}", "method=full", "readout=linear", *FEW)
    one, again = base(make_config(*words)), base(make_config(*words, f"runtime.cache={tmp_path}"))
    other = base(make_config(*words, "seeds.init=1"))
    named = [key for key in one if key.endswith(("query.weight", "q_proj.weight", ".q.weight"))]
    assert named
    for key in one:
        assert torch.equal(one[key], again[key])
    assert all(not torch.equal(one[key], other[key]) for key in named)


@pytest.mark.parametrize("name", NAMES)
def test_a_fresh_base_is_the_same_where_only_the_head_is_drawn_again(make_config, name):
    config = make_config(f"model={name}", "method=lora", "lora.r=2", *FEW)
    with at_work(config) as work:
        torch.manual_seed(3)
        first = dict(backbone.build_network(config, work.data, torch.device("cpu")).named_parameters())
        torch.manual_seed(4)
        second = dict(backbone.build_network(config, work.data, torch.device("cpu")).named_parameters())
    head = [key for key in first if any(f".{name}." in key for name in config.model.head)]
    changed = [key for key in first if not torch.equal(first[key], second[key])]
    assert changed
    assert set(changed) <= set(head)


def test_a_random_model_can_be_held_in_four_bits(make_config):
    with attached(make_config("model=random_t5", "method=qlora", "lora.r=2", *FEW)) as work:
        assert backbone.four_bit_layers(work.network)


def test_vocabulary_and_special_tokens_are_the_tokenizers(make_config, cache):
    model = make_config("model=random_t5", "method=full").model
    tokenizer = load_tokenizer(model, cache)
    told = architecture(model, tokenizer)
    assert (told.vocab_size, told.d_model, told.num_decoder_layers) == (30522, 128, 2)
    assert tokenizer.convert_ids_to_tokens([told.pad_token_id, told.eos_token_id]) == ["[PAD]", "[SEP]"]
    assert told.decoder_start_token_id == told.pad_token_id


def test_no_rank_is_above_what_the_architecture_says(make_config):
    widths = {name: sources.width(make_config(f"model={name}", "method=full").model) for name in NAMES}
    assert widths == {"random_bert": 128, "random_llama": 64, "random_t5": 128}


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("model.architecture.model_type=t6", "model_type=t6 is unknown"),
        ("+model.architecture.d_modell=8", r"d_modell is no option of t5: .*d_model"),
        ("model.architecture.model_type=null", "needs model.architecture with a model_type"),
        ("model.tokenizer=null", "and model.tokenizer"),
        ("model.end=none_such", r"model\.end=none_such is not a token"),
        ("model.tokenizer=/none/such", "is not a folder"),
    ],
)
def test_what_cannot_be_drawn_is_refused(make_config, option, message):
    with pytest.raises(BadConfig, match=message):
        load(make_config("model=random_t5", "method=full", option, *FEW))


def test_identity_holds_the_tokenizers_content(make_config, tmp_path):
    import shutil

    model = make_config("model=random_t5", "method=full").model
    folder = tmp_path / "tokenizer"
    origin = sources.locate(ModelConfig(name="m", family="encoder", source=str(model.tokenizer)))
    assert origin is not None
    folder.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
        shutil.copy(origin / name, folder / name)
    before = sources.fingerprint(model, tmp_path / "cache")
    model.tokenizer = str(folder)
    moved = sources.fingerprint(model, tmp_path / "cache")
    assert before.startswith("random#tokenizer=")
    assert moved.startswith("random#tokenizer=")
    (folder / "vocab.txt").write_text((folder / "vocab.txt").read_text() + "more\n")
    assert sources.fingerprint(model, tmp_path / "cache") != moved
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").unlink()
    with pytest.raises(BadConfig, match="holds no tokenizer"):
        sources.fingerprint(model, tmp_path / "cache")
