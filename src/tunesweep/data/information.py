"""What an encoding leaves of the classes of pictures, whatever a model makes of it.

The nearest neighbour among training pictures (k = 1, scikit-learn) is asked twice for the classes of the
select split: by the pixels themselves, and by what the token ids decode back to. Where the second falls
behind the first, the encoding lost the classes; where it does not and a model is poor, the model failed.
The labels of the test split are not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tunesweep.data.encodings.image import ImageEncoding
from tunesweep.data.examples import Splits

MOST = 500  # pictures of each split, drawn without touching any other chance
Array = np.ndarray


def kept(
    rows: Mapping[str, Any], splits: Splits, encoding: ImageEncoding, tokenizer: Any
) -> dict[str, float]:
    """Return `pixel_accuracy` and `kept_accuracy`."""
    parts = {"train": splits.train, "select": splits.select}
    chosen = {name: sample(len(part)) for name, part in parts.items()}
    examples = {name: part.take(chosen[name].tolist()) for name, part in parts.items()}
    labels = [np.array(examples[name].labels) for name in parts]
    pixels = [np.asarray(examples[name].inputs, float) for name in parts]
    texts = {
        name: tokenizer.batch_decode(rows[name].select(places)["input_ids"][:], skip_special_tokens=True)
        for name, places in chosen.items()
    }
    back = [decoded(encoding, texts[name], image) for name, image in zip(parts, pixels, strict=True)]
    return {
        "pixel_accuracy": nearest_accuracy(*pixels, *labels),
        "kept_accuracy": nearest_accuracy(*back, *labels),
    }


def sample(count: int) -> Array:
    """Return the places of the pictures that are looked at: all, or as many as may be, drawn once for all."""
    places = np.arange(count)
    return places if count <= MOST else np.sort(np.random.default_rng(0).permutation(count)[:MOST])


def decoded(encoding: ImageEncoding, texts: Sequence[str], images: Array) -> Array:
    """Return what texts decode back to [n, pixels]; a pixel that cannot be read is as dark as can be."""
    grids = [encoding.decode(text, images[0].shape) for text in texts]
    shape = np.shape(encoding.quantise(images[0]))
    found = [np.full(shape, np.nan) if grid is None else grid for grid in grids]
    readable: Array = np.nan_to_num(np.stack(found), nan=encoding.low)
    return readable


def nearest_accuracy(train: Array, select: Array, learnt: Array, wanted: Array) -> float:
    """Return the accuracy of the nearest neighbour's class."""
    from sklearn.neighbors import KNeighborsClassifier

    nearest = KNeighborsClassifier(n_neighbors=1, algorithm="brute").fit(
        train.reshape(len(train), -1), learnt
    )
    return float((nearest.predict(select.reshape(len(select), -1)) == wanted).mean())
