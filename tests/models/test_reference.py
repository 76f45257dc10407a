"""The models on pixels: their sizes by formula, and what is not built in."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from tunesweep.errors import BadConfig
from tunesweep.models.reference import reference

SIZE, CLASSES = 8, 10


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("name", ["logistic", "mlp", "cnn"])
def test_sizes_follow_the_formula(make_config, name):
    config = make_config(f"model={name}", "dataset=digits", "method=full")
    widths = [SIZE * SIZE, *config.model.hidden, CLASSES]
    dense = sum((a + 1) * b for a, b in pairwise(widths))
    convolutions = (9 * 1 + 1) * 32 + (9 * 32 + 1) * 64 + (64 * 4 * 4 + 1) * CLASSES
    model = reference(config.model, SIZE, CLASSES)
    assert count(model) == {"logistic": 65 * 10, "mlp": dense, "cnn": convolutions}[name]
    assert model(torch.rand(3, 1, SIZE, SIZE)).shape == (3, CLASSES)


def test_logistic_regression_is_a_matrix_product(make_config):
    model = reference(make_config("model=logistic", "dataset=digits", "method=full").model, SIZE, CLASSES)
    pixels = torch.rand(2, 1, SIZE, SIZE)
    expected = pixels.view(2, -1) @ model.classifier.weight.T + model.classifier.bias
    torch.testing.assert_close(model(pixels), expected)


def test_what_is_not_built_in_is_refused(make_config):
    model = make_config("model=logistic", "dataset=digits", "method=full").model
    model.source = "builtin:transformer"
    with pytest.raises(
        BadConfig, match=r"builtin:transformer is not built in: choose one of linear, mlp, cnn"
    ):
        reference(model, SIZE, CLASSES)


@pytest.mark.parametrize("hidden", [[], [7], [1000, 2000], [9, 8, 7, 6]])
def test_one_target_names_every_layer_whatever_the_depth(make_config, hidden):
    from peft import LoraConfig, get_peft_model

    config = make_config("model=mlp", f"model.hidden={hidden}", "dataset=digits", "method=full")
    widths = [28 * 28, *hidden, CLASSES]
    model = get_peft_model(
        reference(config.model, 28, CLASSES),
        LoraConfig(r=1, target_modules=config.model.target_modules["all_linear"]),
    )
    added = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert added == sum(a + b for a, b in pairwise(widths))
    if hidden == [1000, 2000]:
        assert (added, count(model) - added) == (6_794, 2_807_010)
