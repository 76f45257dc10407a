"""IDX files: the published layout, and what breaks it."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from made_files import config, idx, write

from tunesweep.config import DatasetConfig
from tunesweep.data.location import fingerprint
from tunesweep.data.readers import load, read
from tunesweep.errors import BadConfig, BadData


@pytest.fixture
def idx_folder(tmp_path: Path) -> Path:
    pictures = np.arange(40 * 6, dtype=np.uint8).reshape(40, 2, 3)
    labels = np.arange(40, dtype=np.uint8) % 4
    for prefix, end in (("train", ".gz"), ("t10k", "")):
        pack = gzip.compress if end else bytes
        write(tmp_path, f"{prefix}-images-idx3-ubyte{end}", pack(idx(pictures)))
        write(tmp_path, f"{prefix}-labels-idx1-ubyte{end}", pack(idx(labels)))
    return tmp_path


def test_a_folder_of_idx_files_replaces_the_hub(idx_folder: Path) -> None:
    chosen = DatasetConfig(
        name="m", modality="image", train="hub:a/b#train", test="hub:a/b#test", folder=str(idx_folder)
    )
    splits = load(chosen, 0)
    assert (len(splits.train), len(splits.select), len(splits.test)) == (36, 4, 40)
    assert splits.value_range == (0.0, 255.0)
    assert splits.labels == ["0", "1", "2", "3"]
    assert splits.test.inputs[1].tolist() == [[6, 7, 8], [9, 10, 11]]
    assert splits.test.labels[:5] == ["0", "1", "2", "3", "0"]


def test_a_broken_idx_folder_is_one_sentence(idx_folder: Path) -> None:
    chosen = DatasetConfig(name="m", modality="image", folder=str(idx_folder))
    images = idx_folder / "t10k-images-idx3-ubyte"
    whole = images.read_bytes()
    images.write_bytes(whole[:-1])
    with pytest.raises(BadData, match="holds 239 values, expected 240"):
        load(chosen, 0)
    images.write_bytes(idx(np.zeros((3, 2, 3), dtype=np.uint8)))
    with pytest.raises(BadData, match="3 images but 40 labels"):
        load(chosen, 0)
    (idx_folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(BadData, match="no file of labels beside it"):
        load(chosen, 0)
    images.unlink()
    with pytest.raises(BadData, match="must hold t10k-images-idx3-ubyte"):
        load(chosen, 0)
    with pytest.raises(BadConfig, match=r"dataset\.modality=image"):
        read("train", str(idx_folder / "train-images-idx3-ubyte.gz"), config("x"))


def test_labels_of_idx_files_are_part_of_the_fingerprint(idx_folder: Path) -> None:
    chosen = DatasetConfig(name="m", modality="image", folder=str(idx_folder))
    known = fingerprint(chosen, idx_folder / "cache")
    write(idx_folder, "t10k-labels-idx1-ubyte", idx(np.ones(40, dtype=np.uint8)))
    assert fingerprint(chosen, idx_folder / "cache") != known
