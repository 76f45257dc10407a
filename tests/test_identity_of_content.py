"""Who a run is: data, weights and tokenizers are known by their content, wherever they lie."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from tunesweep import identity
from tunesweep.config import RunConfig
from tunesweep.models import sources

Make = Callable[..., RunConfig]


def ids(make_config: Make, *words: str) -> tuple[str, str, str]:
    config = make_config(*words)
    identity.identify(config)
    point = config.runtime.point
    return point.run_id, point.model_fingerprint, point.data_fingerprint


def test_data_are_known_by_content_not_by_path(make_config: Make, tmp_path: Path) -> None:
    for folder, last in (("one", "fine"), ("two", "fine"), ("three", "dull")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.csv").write_text(f"text,label\ngood,1\nbad,0\n{last},1\n")
    files = [tmp_path / folder / "x.csv" for folder in ("one", "two", "three")]
    one, two, three = (ids(make_config, "dataset=files", f"dataset.train={file}") for file in files)
    assert one == two
    assert (one[0] != three[0], one[1] == three[1], one[2] != three[2]) == (True, True, True)


def test_a_model_is_known_by_content_not_by_path(make_config: Make, tmp_path: Path) -> None:
    source = sources.locate(make_config().model)
    assert source is not None
    shutil.copytree(source, tmp_path / "copy")
    shutil.copytree(source, tmp_path / "edited")
    config = tmp_path / "edited" / "config.json"
    config.write_text(config.read_text().replace('"gelu"', '"relu"'))
    same, other = (ids(make_config, f"model.source={tmp_path / name}") for name in ("copy", "edited"))
    assert same == ids(make_config)
    assert (other[0] != same[0], other[1] != same[1], other[2] == same[2]) == (True, True, True)


def test_a_tokenizer_is_known_by_content_not_by_path(make_config: Make, tmp_path: Path) -> None:
    source = sources.locate(make_config().model)
    assert source is not None
    for name in ("copy", "edited"):
        shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("*.safetensors"))
    words = tmp_path / "edited" / "tokenizer.json"
    words.write_text(words.read_text().replace('"film"', '"flim"'))
    random = ("model=random_bert", "method=full")
    same, other = (
        ids(make_config, *random, f"model.tokenizer={tmp_path / name}") for name in ("copy", "edited")
    )
    assert same == ids(make_config, *random)
    assert (other[0] != same[0], other[1] != same[1], other[2] == same[2]) == (True, True, True)


def test_a_point_that_planning_named_keeps_its_id(make_config: Make) -> None:
    config = make_config()
    config.runtime.point.run_id = "planned"
    identity.identify(config)
    assert config.runtime.point.run_id == "planned"
