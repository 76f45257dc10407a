"""The package as a library: what it exports, that it loads no torch before it must, and its page."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from typer.testing import CliRunner

import tunesweep
from documented_files import FILES
from golden_store import DIVERGED, GOLDEN, HEAD, LORA, SWEEP
from tunesweep import compare as compare_runs
from tunesweep import compose, load_runs, run
from tunesweep.cli import app
from tunesweep.errors import BadConfig, StorageError
from tunesweep.record import draft
from tunesweep.store import Store
from tunesweep.tasks.learner import Learner
from workplace import FEW, tiny

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "library.md").read_text()
LOGISTIC = ("dataset=digits", "model=logistic", "method=full", "train.precision=fp32", *FEW[:3])


def python(code: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def place(tmp_path: Path, cache: Path) -> tuple[str, ...]:
    words = (f"runtime.store={tmp_path / 'store'}", f"runtime.cache={cache}", "runtime.threads=1")
    return (*words, "runtime.wandb.mode=disabled", "runtime.progress=false")


def test_the_package_itself_loads_nothing() -> None:
    code = "import tunesweep, sys; print(sorted({'torch', 'hydra', 'numpy', 'pandas'} & set(sys.modules)))"
    assert python(code).strip() == "[]"


def test_reading_comparing_and_composing_load_no_torch() -> None:
    code = f"""
import sys
from tunesweep import RunConfig, RunRecord, compare, compose, load_runs, run
assert "pandas" not in sys.modules
assert isinstance(compose("method=lora", "lora.r=4"), RunConfig)
assert len(load_runs({str(GOLDEN)!r})) >= 3
assert compare({LORA!r}, {HEAD!r}, store={str(GOLDEN)!r})["n"] > 0
print("HEAVY", sorted({{"torch", "transformers", "peft", "pytorch_lightning"}} & set(sys.modules)))
"""
    assert "HEAVY []" in python(code)


def test_every_exported_name_is_there_and_no_module_stands_in_its_place() -> None:
    for name in tunesweep.__all__:
        assert name in dir(tunesweep)
        assert not isinstance(getattr(tunesweep, name), type(tunesweep)), name
    with pytest.raises(AttributeError, match="has no attribute 'load_run'"):
        tunesweep.load_run  # noqa: B018


def test_no_module_of_the_package_has_the_name_of_an_export() -> None:
    """Once loaded, it would hide the export."""
    modules = {path.stem for path in (ROOT / "src" / "tunesweep").iterdir()}
    assert not modules & set(tunesweep.__all__)


def test_type_checkers_see_the_names_that_are_exported() -> None:
    tree = ast.parse((ROOT / "src" / "tunesweep" / "__init__.py").read_text())
    seen = {name.name for node in tree.body if isinstance(node, ast.If) for item in node.body
            for name in getattr(item, "names", ())}  # fmt: skip
    assert seen == set(tunesweep.__all__) - {"__version__"}


def test_a_point_is_the_one_that_the_command_line_makes(make_config: Any, place: tuple[str, ...]) -> None:
    words = ("method=dora", "lora.r=4", "train.lr=1e-3", "seed=3")
    found, wanted = compose(*words, *place), make_config(*words)
    assert found.runtime.point.name == "method=dora lora.r=4 train.lr=1e-3 seed=3"
    wanted.runtime.point.name = found.runtime.point.name
    assert found == wanted


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("lora.r=4,8", "lora.r=4,8 makes several points: call compose"),
        ("train.lr=interval(0,1)", "makes several points"),
        ("plan=true", "plan=true is for a command"),
        ("search=optuna", "is for a command"),
        ("hydra/launcher=joblib", "is for a command"),
        ("experiment=main_sweep", "an experiment of 1 blocks is no single point"),
        ("lora.rank=4", "lora.rank is not an option: lora takes one of r, alpha"),
        ("method=lorra", "method=lorra is not an option: choose"),
        ("lora.r=0", "lora.r=0 must be above zero"),
        ("lora.r", "lora.r cannot be read"),
    ],
)
def test_words_that_make_no_point_are_refused_in_a_sentence(word: str, said: str) -> None:
    with pytest.raises(BadConfig, match=re.escape(said)):
        compose(word)


def test_a_hydra_that_is_at_work_stays_as_it_was() -> None:
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        before = GlobalHydra.instance().hydra
        compose("method=lora")
        assert GlobalHydra.instance().hydra is before
    with pytest.raises(BadConfig):
        compose("method=lorra")
    assert not GlobalHydra.instance().is_initialized()


def test_a_folder_of_ones_own_is_searched(tmp_path: Path) -> None:
    folder = tmp_path / "my own, conf"
    (folder / "method").mkdir(parents=True)
    text = (ROOT / "conf" / "method" / "lora.yaml").read_text()
    (folder / "method" / "mine.yaml").write_text(text.replace("name: lora", "name: mine"))
    assert compose("method=mine", config_dir=folder).method.name == "mine"
    (folder / "method" / "mine.yaml").write_text(text)
    with pytest.raises(BadConfig, match=r"method/mine.yaml says name: lora; write name: mine"):
        compose("method=mine", config_dir=folder)
    with pytest.raises(BadConfig, match="is no folder"):
        compose(config_dir=tmp_path / "absent")


def test_a_run_leaves_its_record_and_is_not_repeated(
    place: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = compose(*tiny("random_bert"), *FEW, "method=lora", "lora.r=2", *place)
    before = deepcopy(config)
    record = run(config)
    assert record.status == "succeeded", record.failure
    assert config == before
    store = Store(config.runtime.store)
    assert store.get(record.run_id) == record
    assert record.name.endswith("method=lora lora.r=2")
    monkeypatch.setattr("tunesweep.point.attempt", lambda *_: pytest.fail("it was repeated"))
    assert run(config) == record
    config.seed = config.seeds.init = config.seeds.data = 1  # another run, by the same point changed
    with pytest.raises(pytest.fail.Exception):
        run(config)


def test_ctrl_c_leaves_a_checkpoint_from_which_the_same_call_goes_on(
    place: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = compose(*tiny("random_bert"), *FEW, "method=bitfit", *place)
    real, steps = Learner.training_step, []

    def interrupted(self: Any, batch: Any, *rest: Any) -> Any:
        steps.append(1)
        if len(steps) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return real(self, batch, *rest)

    monkeypatch.setattr(Learner, "training_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(config)
    record = run(config)
    assert record.status == "succeeded", record.failure
    assert record.resumed == [2]
    assert len(steps) == 4


def test_what_goes_wrong_is_in_the_record(place: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("text,label\none,a\ntwo,b,c\n")  # a field too many
    words = ("dataset=files", f"dataset.train={tmp_path / 'bad.csv'}")
    record = run(compose(*words, *place))
    assert record.failed
    assert record.failure is not None
    assert record.failure["class"] == "bad_data"


def test_an_impossible_point_is_raised_and_writes_nothing(place: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="nothing was started"):
        run(compose("model=cnn", "dataset=digits", "method=qlora", *place))
    assert not (tmp_path / "store").exists()


def test_a_run_that_failed_its_checks_is_shown_not_repeated(
    place: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = compose(*LOGISTIC, "train.epochs=1", *place)
    done = run(config)
    odd = deepcopy(done)
    odd.status, odd.failure = "failed", {"class": "integrity", "message": "of the test", "log": ""}
    Store(config.runtime.store).put(odd)
    monkeypatch.setattr("tunesweep.point.run", lambda _: pytest.fail("it was repeated"))
    assert run(config) == odd


def test_a_point_put_together_by_hand_has_a_name(place: tuple[str, ...], monkeypatch: Any) -> None:
    config = compose(*LOGISTIC, *place)
    config.runtime.point.name = ""
    monkeypatch.setattr("tunesweep.point.run", draft)
    assert run(config).name == "model=logistic method=full"


def test_rows_are_those_of_the_report_as_json() -> None:
    runs = load_runs(GOLDEN)
    said = CliRunner().invoke(app, ["report", "--store", str(GOLDEN), "--all", "--json"])
    rows = json.loads(said.stdout)
    assert list(runs.columns) == list(dict.fromkeys(key for row in rows for key in row))
    assert list(runs["run_id"]) == [row["run_id"] for row in rows]
    for row, (_, found) in zip(rows, runs.iterrows(), strict=True):
        assert found["score"] == row["score"] or (pd.isna(found["score"]) and row["score"] is None)
    assert pd.isna(runs.set_index("run_id").loc[DIVERGED, "score"])


def test_rows_are_narrowed_by_sweep_and_conditions() -> None:
    assert set(load_runs(GOLDEN, sweep=SWEEP)["run_id"]) == {LORA, HEAD}
    assert set(load_runs(GOLDEN, sweep="last")["run_id"]) <= set(load_runs(GOLDEN)["run_id"])
    assert list(load_runs(GOLDEN, where="method=head_only")["run_id"]) == [HEAD]
    assert LORA in set(load_runs(GOLDEN, where=["method=lora", "status=succeeded"])["run_id"])
    with pytest.raises(BadConfig, match="--where method=dora holds for no row"):
        load_runs(GOLDEN, where="method=dora")


def test_a_record_that_cannot_be_read_is_named_in_a_warning(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN, tmp_path / "store")
    (tmp_path / "store" / "records" / f"{HEAD}.json").write_text("{")
    with pytest.warns(UserWarning, match=f"{HEAD}.json is not a readable record"):
        runs = load_runs(tmp_path / "store")
    assert HEAD not in set(runs["run_id"])


def test_a_store_that_is_not_there_is_refused_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="holds no run yet"):
        load_runs(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_comparison_is_that_of_the_command() -> None:
    said = CliRunner().invoke(app, ["compare", LORA, HEAD, "--store", str(GOLDEN), "--json"])
    assert compare_runs(LORA, HEAD, store=GOLDEN) == json.loads(said.stdout)
    with pytest.raises(BadConfig, match="is one run: give two"):
        compare_runs(LORA, LORA, store=GOLDEN)


def test_the_lines_of_the_page_run(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUNESWEEP_CACHE", str(cache))
    Path("mine.csv").write_text(str(FILES["mine.csv"]))
    scope: dict[str, Any] = {}
    lines = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    assert len(lines) == 6
    for block in lines:
        exec(block, scope)
    assert scope["record"].status == "succeeded", scope["record"].failure
    assert list(scope["lora"]["r"]) == [4, 8]
    assert "lora 4 0.001" in capsys.readouterr().out
    assert scope["found"]["runs"] == list(scope["lora"]["run_id"])
