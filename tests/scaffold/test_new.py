"""`tunesweep new`: what it writes composes and works as it stands, and nothing is ever replaced."""

from __future__ import annotations

import importlib
import shlex
import shutil
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

import samples
from command_line import CommandLine
from tunesweep import compose, door, run
from tunesweep.build import build
from tunesweep.capabilities import problems
from tunesweep.cli import app
from tunesweep.data import encodings
from tunesweep.scaffold import write
from tunesweep.store import Store
from workplace import FEW, tiny

ROOT = Path(__file__).parents[2]


def new(*words: str) -> Result:
    return CliRunner().invoke(app, ["new", *words])


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone of its own: conf/, and a folder of encodings that `_target_` sees beside the real one."""
    shutil.copytree(ROOT / "conf", tmp_path / "clone" / "conf")
    package = tmp_path / "clone" / "src" / "tunesweep"
    (package / "data" / "encodings").mkdir(parents=True)
    monkeypatch.setattr(door, "conf_folder", lambda: tmp_path / "clone" / "conf")
    monkeypatch.setattr(write, "PACKAGE", package)
    monkeypatch.setattr(encodings, "__path__", [*encodings.__path__, str(package / "data" / "encodings")])
    importlib.invalidate_caches()
    return tmp_path / "clone"


@pytest.fixture
def quick(tmp_path: Path, cache: Path) -> tuple[str, ...]:
    place = (f"runtime.store={tmp_path / 'store'}", f"runtime.cache={cache}", "runtime.threads=1")
    quiet = ("runtime.wandb.mode=disabled", "runtime.progress=false")
    return (*place, *quiet, *tiny("random_bert"), *FEW)


@pytest.mark.parametrize("kind", ["method", "dataset", "encoding"])
def test_what_it_writes_is_a_point(kind: str, tmp_path: Path) -> None:
    said = new(kind, "mine_2", "--to", str(tmp_path / "my conf"))
    path = tmp_path / "my conf" / kind / "mine_2.yaml"
    assert said.exit_code == 0, said.output
    assert said.stdout.splitlines()[0] == f"written: {path}"
    folder = shlex.quote(str(tmp_path / "my conf"))
    wanted = f"next: python train.py --config-dir {folder} {kind}=mine_2 plan=true"
    assert said.stdout.splitlines()[-1] == wanted
    config = compose(f"{kind}=mine_2", config_dir=tmp_path / "my conf")
    assert list(problems(config)) == []
    part = getattr(config, kind)
    assert (part["name"] if kind == "encoding" else part.name) == "mine_2"
    assert path.read_text().startswith("# mine_2: ")
    assert "NAME" not in path.read_text()


def test_a_new_method_trains_comes_back_and_merges(tmp_path: Path, quick: tuple[str, ...]) -> None:
    new("method", "mine", "--to", str(tmp_path / "own"))
    record = run(compose("method=mine", "lora.r=2", *quick, config_dir=tmp_path / "own"))
    assert record.status == "succeeded", record.failure
    assert record.parameters["adapter"] > 0
    assert "score_change" in record.integrity["merge"]


@pytest.mark.parametrize(
    ("name", "config", "trains", "takes"),
    [
        ("fourierft", "FourierFTConfig", "fourierft_", set()),
        ("rand_lora", "RandLoraConfig", "randlora_", {"r"}),
        ("loha", "LoHaConfig", "hada_", {"r", "alpha"}),
        ("oft", "OFTConfig", "oft_", set()),  # its block size excludes a rank
        ("supertuning", "SupertuningConfig", "supertuning_", {"r", "lora_alpha"}),
    ],
)
def test_a_method_that_peft_knows_by_this_name_is_written_for_it(
    name: str, config: str, trains: str, takes: set[str], tmp_path: Path
) -> None:
    said = new("method", name, "--to", str(tmp_path))
    assert "PEFT has no method" not in said.stdout
    both = f"--config-dir {tmp_path} method={name},lora train.lr=1e-3,1e-2 'report.tuning=[train.lr]'"
    assert f"its rate is lora's, not tuned for it; to compare both at several: python train.py -m {both}" in (
        said.stdout
    )
    found = yaml.safe_load((tmp_path / "method" / f"{name}.yaml").read_text())
    assert found["trains"] == trains
    assert found["peft"].pop("_target_") == f"peft.{config}"
    assert {*found["peft"]} == {*takes, "target_modules"}


def test_it_runs_as_it_is_written(tmp_path: Path, quick: tuple[str, ...]) -> None:
    new("method", "fourierft", "--to", str(tmp_path / "own"))
    record = run(compose("method=fourierft", *quick, config_dir=tmp_path / "own"))
    assert record.status == "succeeded", record.failure
    assert record.parameters["adapter"] == 2 * 1000  # n_frequency, of query and value of one layer


@pytest.mark.parametrize("name", ["mine", "cpt", "adaption_prompt", "bofft"])
def test_another_name_gets_an_example_and_is_told_so(name: str, tmp_path: Path) -> None:
    said = new("method", name, "--to", str(tmp_path))
    assert f"PEFT has no method {name} that adapts layers by name" in said.stdout
    assert ("(did you mean boft?)" in said.stdout) == (name == "bofft")
    assert "peft.LoHaConfig" in (tmp_path / "method" / f"{name}.yaml").read_text()


def test_a_new_data_set_reads_a_file_of_its_name(
    tmp_path: Path, quick: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = new("dataset", "films", "--to", str(tmp_path / "own"))
    assert "its rows are read from films.csv" in said.stdout
    samples.films(tmp_path)
    (tmp_path / "films-2.csv").rename(tmp_path / "films.csv")
    monkeypatch.chdir(tmp_path)
    record = run(compose("dataset=films", "method=bitfit", *quick, config_dir=tmp_path / "own"))
    assert record.status == "succeeded", record.failure
    assert sorted(record.data["labels"]) == ["bad", "good"]


def test_a_new_encoding_without_a_class_puts_its_template_around_a_text(tmp_path: Path) -> None:
    new("encoding", "asked", "--to", str(tmp_path))
    made = build(compose("encoding=asked", config_dir=tmp_path).encoding)
    text, second = made.encode("a film")
    assert made.template.format(text=text, text_pair=second) == "Text: a film\nThe text is"
    assert made.joined


def test_a_new_encoding_in_a_clone_has_a_class(clone: Path, quick: tuple[str, ...]) -> None:
    said = new("encoding", "behind_word")
    module = clone / "src" / "tunesweep" / "data" / "encodings" / "behind_word.py"
    assert said.exit_code == 0, said.output
    assert said.stdout.splitlines() == [
        f"written: {module}",
        f"written: {clone / 'conf' / 'encoding' / 'behind_word.yaml'}",
        "where it is to become part of this project, name it in README.md beside the others of encoding",
        "next: python train.py encoding=behind_word plan=true",
    ]
    config = compose("encoding=behind_word")
    assert list(problems(config)) == []
    made = build(config.encoding)
    assert type(made).__name__ == "BehindWord"
    assert made.encode("a film") == "Text: a film"
    record = run(compose("encoding=behind_word", "encoding.before='So: '", "method=bitfit", *quick))
    assert record.status == "succeeded", record.failure


@pytest.mark.parametrize("scale", ["full", "small"])
def test_a_new_experiment_is_a_sweep(scale: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = new("experiment", "mine", "--to", str(tmp_path))
    assert "experiment=mine scale=small plan=true" in said.stdout
    command = CommandLine(monkeypatch, tmp_path)
    outcome = command("--config-dir", str(tmp_path), "experiment=mine", f"scale={scale}")
    assert outcome.status == 0, outcome.said
    assert len(outcome.ran) == {"full": 21, "small": 3}[scale]
    assert {config.method.name for config in outcome.ran} == {"lora", "dora", "head_only"}
    assert len(Store(command.store.root).names("records")) == len(outcome.ran)


@pytest.mark.parametrize("kind", write.KINDS)
def test_a_member_of_a_clone_lies_beside_the_others(clone: Path, kind: str) -> None:
    before = {path: path.read_bytes() for path in clone.rglob("*") if path.is_file()}
    assert new(kind, "mine").exit_code == 0
    found = yaml.safe_load((clone / "conf" / kind / "mine.yaml").read_text())
    assert found.get("name", "mine") == "mine"
    assert all(path.read_bytes() == content for path, content in before.items())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("methods", "mine"), "the kind=methods is not an option: choose one of method, dataset"),
        (("method", "Mine"), "'Mine' is no name for a new method: write lower-case letters"),
        (("method", "../mine"), "'../mine' is no name"),
        (("method", "2nd"), "'2nd' is no name"),
        (("method", "mine.yaml"), "is no name"),
        (("method", ""), "'' is no name"),
        (("method", "null"), "null is a word of YAML, Hydra or Python"),
        (("encoding", "class"), "class is a word of YAML, Hydra or Python"),
        (("method", "lora"), "lora.yaml exists, and nothing is replaced"),
        (("encoding", "image"), "image.py exists, and nothing is replaced"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_writes_nothing(
    clone: Path, words: tuple[str, str], sentence: str
) -> None:
    (write.PACKAGE / "data" / "encodings" / "image.py").touch()
    before = sorted(clone.rglob("*"))
    said = new(*words)
    assert said.exit_code == 1
    assert sentence in said.stderr
    assert len(said.stderr.splitlines()) == 1
    assert sorted(clone.rglob("*")) == before


def test_a_file_of_ones_own_is_never_replaced_nor_one_shadowed(tmp_path: Path) -> None:
    (tmp_path / "method").mkdir()
    (tmp_path / "method" / "mine.yaml").write_text("name: mine\n")
    for name in ("mine", "lora"):
        said = new("method", name, "--to", str(tmp_path))
        assert said.exit_code == 1
        assert f"{name}.yaml exists, and nothing is replaced" in said.stderr
    assert (tmp_path / "method" / "mine.yaml").read_text() == "name: mine\n"
    assert [path.name for path in (tmp_path / "method").iterdir()] == ["mine.yaml"]


def test_a_folder_that_cannot_be_written_to_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = new("method", "mine", "--to", str(tmp_path / "file"))
    assert said.exit_code == 1
    assert "cannot be written (Not a directory): name another folder by --to FOLDER" in said.stderr


def test_an_installed_package_is_not_written_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "conf", tmp_path / "site" / "tunesweep" / "conf")
    monkeypatch.setattr(write, "PACKAGE", tmp_path / "site" / "tunesweep")
    monkeypatch.setattr(door, "conf_folder", lambda: tmp_path / "site" / "tunesweep" / "conf")
    assert "name a folder of your own by --to FOLDER" in new("method", "mine").stderr
    said = new("method", "mine", "--to", str(tmp_path / "own"))
    assert said.stdout.splitlines()[-1].startswith("next: tunesweep-train --config-dir ")
    assert not (tmp_path / "site" / "tunesweep" / "conf" / "method" / "mine.yaml").exists()
