"""What a launcher is handed, and a job carries with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from omegaconf import DictConfig

from command_line import CommandLine
from hydra_plugins.tunesweep import _sweep


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return what the launcher is given instead of Hydra's config loader."""
    found: list[Any] = []
    launcher = _sweep._launcher

    def watched(*arguments: Any) -> Any:
        made = launcher(*arguments)
        found.append(made.hydra_context.config_loader)
        return made

    monkeypatch.setattr(_sweep, "_launcher", watched)
    return found


def test_a_job_carries_frozen_configs_in_few_bytes(command: CommandLine, handed: list[Any]) -> None:
    assert command("method=lora", "lora.r=4,8,16,32", "seed=0,1,2").status == 0
    (loader,) = handed
    assert len(loader.frozen) == 12
    make, (inner, packed) = loader.__reduce__()
    assert len(cloudpickle.dumps(loader.frozen)) > 10 * len(packed)
    assert len(packed) < 12 * 3_000
    arrived = make(inner, packed)
    assert arrived.frozen == loader.frozen
    words = next(iter(loader.frozen))
    config = arrived.load_sweep_config(DictConfig({}), list(words))
    assert config == loader.frozen[words]
    assert config.runtime.point.run_id


def test_a_job_goes_to_where_the_command_was_given(
    command: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from tunesweep import door
    from tunesweep.errors import BadConfig

    folder = command("method=lora").ran[0].runtime.point.folder
    assert folder == str(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    door.enter("")
    assert Path.cwd() == tmp_path / "elsewhere"
    door.enter(folder)
    assert Path.cwd() == tmp_path
    with pytest.raises(BadConfig, match="give the command in a folder that all machines share"):
        door.enter(str(tmp_path / "missing"))
