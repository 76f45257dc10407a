"""The encodings of images as the tests build them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from tunesweep.build import build
from tunesweep.data.encodings.image import ImageEncoding

CONF = Path(__file__).parents[2] / "conf" / "encoding"
LAYOUTS = ("flat", "rows")
IMAGES = [f"{kind}_{layout}" for kind in ("pixels", "normalized", "base64", "binary") for layout in LAYOUTS]
TINY = np.array([[0, 16], [4, 8]], dtype=np.uint8)


def spec(name: str) -> dict[str, Any]:
    loaded = OmegaConf.to_container(OmegaConf.load(CONF / f"{name}.yaml"))
    return {str(key): value for key, value in loaded.items()}


def image_encoding(name: str, **options: Any) -> ImageEncoding:
    return build(spec(name) | {"high": 16.0} | options)
