"""Which examples meet in a batch: every one once an epoch, in another order each time, padded little."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tunesweep.data.batches import GlobalBatches, ImageCollator, TextCollator, by_length


def made(
    n: int, batch: int = 32, micro: int | None = None, seed: int = 0, bucketing: bool = True
) -> GlobalBatches:
    lengths = np.random.default_rng(9).integers(1, 100, n).tolist()
    return GlobalBatches(lengths, batch, micro or batch, seed, bucketing)


@given(st.integers(1, 300), st.integers(1, 40), st.integers(1, 40), st.booleans(), st.integers(0, 5))
def test_every_example_once_and_the_partial_batch_last(n, batch, micro, bucketing, seed):
    batches = GlobalBatches([1 + i % 17 for i in range(n)], batch, min(micro, batch), seed, bucketing)
    epoch = list(batches)
    assert sorted(index for part in epoch for index in part) == list(range(n))
    assert len(epoch) == len(batches)
    steps = [epoch[i : i + batches.accumulation] for i in range(0, len(epoch), batches.accumulation)]
    sizes = [sum(map(len, step)) for step in steps]
    assert sizes == [batch] * (n // batch) + [n % batch] * (n % batch > 0)


@given(st.integers(1, 120), st.integers(1, 20), st.integers(1, 20), st.integers(0, 9), st.booleans())
def test_micro_batches_add_up_to_the_mean_over_all_losses_of_their_global_batch(n, batch, micro, seed, many):
    random = np.random.default_rng(seed)
    terms = random.integers(1, 30, n) if many else None
    losses = [random.normal(size=1 if terms is None else terms[i]) for i in range(n)]  # one for each term
    batches = GlobalBatches([1] * n, batch, min(micro, batch), seed, bucketing=False, terms=terms)
    epoch = list(batches)
    for first in range(0, len(epoch), batches.accumulation):
        step = epoch[first : first + batches.accumulation]
        mean = np.mean(np.concatenate([losses[index] for part in step for index in part]))
        summed = [sum(losses[index].sum() for index in part) for part in step]
        # Lightning divides each by the micro-batches of a whole global batch, and adds up their gradients.
        parts = [batches.share(first + i) * value / batches.accumulation for i, value in enumerate(summed)]
        assert sum(parts) == pytest.approx(mean)


def test_epochs_differ_and_seeds_repeat_them():
    one, same, other = made(200), made(200), made(200, seed=1)
    first, second = list(one), list(one)
    assert first != second
    assert first != list(other)
    assert [list(same), list(same)] == [first, second]


def test_micro_batches_cut_the_same_global_batches():
    whole, cut = list(made(72)), list(made(72, micro=12))
    assert [len(part) for part in cut] == [12, 12, 8, 12, 12, 8, 8]
    assert [[*cut[0], *cut[1], *cut[2]], [*cut[3], *cut[4], *cut[5]], cut[6]] == whole


def padding(batches: GlobalBatches) -> float:
    lengths = [batches.lengths[part] for part in batches]
    return sum(part.max() * len(part) for part in lengths) / batches.lengths.sum()


def test_bucketing_saves_padding_and_still_mixes():
    assert padding(made(2000)) < 1.1
    assert padding(made(2000, bucketing=False)) > 1.7
    batches = made(2000)
    together = [frozenset(part) for part in batches]
    assert not set(together) & {frozenset(part) for part in batches}


def test_scoring_goes_from_long_to_short():
    assert by_length([3, 9, 1, 9], 3) == [[1, 3, 0], [2]]


def compositions(count: int, most: int) -> Iterator[list[int]]:
    """Yield every way to write a number as a sum, in order, of numbers up to another."""
    if count == 0:
        yield []
    for first in range(1, min(count, most) + 1):
        for rest in compositions(count - first, most):
            yield [first, *rest]


@pytest.mark.parametrize("seed", range(10))
def test_of_all_cuts_the_one_with_the_fewest_tokens_is_taken(seed: int) -> None:
    draw = random.Random(seed)
    lengths, most, fixed = [draw.randint(1, 60) for _ in range(11)], draw.randint(2, 6), draw.randint(0, 80)
    widest_first = sorted(lengths, reverse=True)

    def cost(parts: list[int]) -> int:
        starts = [sum(parts[:place]) for place in range(len(parts))]
        return sum(fixed + rows * widest_first[start] for start, rows in zip(starts, parts, strict=True))

    found = by_length(lengths, most, fixed)
    assert sorted(index for part in found for index in part) == list(range(11))
    assert [lengths[index] for part in found for index in part] == widest_first
    assert cost([len(part) for part in found]) == min(map(cost, compositions(11, most)))


def test_the_widest_batch_is_what_any_order_could_bring() -> None:
    batches = GlobalBatches([3, 9, 5, 7], 4, 2, 0, bucketing=True)
    assert batches.widest == 18


def test_rows_as_long_as_one_another_make_full_batches() -> None:
    assert [len(part) for part in by_length([7] * 24, 10, 500)] == [10, 10, 4]
    assert [len(part) for part in by_length([0] * 24, 10, 500)] == [10, 10, 4]  # features
    assert by_length([], 10, 500) == []


ROWS = [
    {"input_ids": [5, 6, 7], "token_type_ids": [0, 0, 1], "index": 2},
    {"input_ids": [8], "token_type_ids": [0], "index": 0},
]


def test_a_text_batch_is_padded_and_masked_on_the_right():
    batch = TextCollator(99, np.array([10, 11, 12]))(ROWS)
    assert batch["input_ids"].tolist() == [[5, 6, 7], [8, 99, 99]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch["token_type_ids"].tolist() == [[0, 0, 1], [0, 0, 0]]
    assert batch["index"].tolist() == [2, 0]
    assert batch["labels"].tolist() == [12, 10]
    assert "labels" not in TextCollator(99, None)(ROWS)


def test_a_real_token_that_equals_pad_is_not_masked():
    batch = TextCollator(5, None)([{"input_ids": [5, 6], "index": 0}])
    assert batch["attention_mask"].tolist() == [[1, 1]]


@pytest.mark.parametrize("pad", [0, 3])  # 3 is END as well, where a tokenizer has no PAD of its own
def test_of_an_answer_end_is_learned_and_padding_is_not(pad):
    rows = [
        {"input_ids": [5], "answer_ids": [8, 9, 3], "index": 0},
        {"input_ids": [5, 6], "answer_ids": [3], "index": 1},
    ]
    batch = TextCollator(pad, None)(rows)
    assert batch["answer_ids"].tolist() == [[8, 9, 3], [3, pad, pad]]
    assert batch["answer_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    learned = [
        ids[mask.bool()].tolist() for ids, mask in zip(batch["answer_ids"], batch["answer_mask"], strict=True)
    ]
    assert learned == [row["answer_ids"] for row in rows]
    assert batch["attention_mask"].tolist() == [[1, 0], [1, 1]]  # of what is read, the answer not included
    assert "scored" not in batch


def test_a_window_says_how_many_of_its_tokens_count():
    rows = [{"input_ids": [5, 6, 7], "scored": 2, "index": 1}, {"input_ids": [8, 9], "scored": 1, "index": 0}]
    batch = TextCollator(0, None)(rows)
    assert (batch["scored"].tolist(), batch["index"].tolist()) == ([2, 1], [1, 0])
    assert "answer_ids" not in batch


def test_pictures_are_scaled_to_one():
    batch = ImageCollator((0.0, 16.0), np.array([3]))([{"image": [[0, 8], [16, 4]], "index": 0}])
    expected = torch.tensor([[[[0.0, 0.5], [1.0, 0.25]]]])
    assert torch.equal(batch["pixels"], expected)
    assert batch["labels"].tolist() == [3]
