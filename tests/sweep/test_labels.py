"""Which run a label stands for, without a command line."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest

from tunesweep.config import RunConfig
from tunesweep.errors import BadConfig
from tunesweep.models.start import check_source
from tunesweep.record import draft
from tunesweep.store import Store
from tunesweep.sweep.labels import identify
from tunesweep.sweep.lineage import stages, weightless
from tunesweep.sweep.points import Planned

Make = Callable[..., Planned]


@pytest.fixture
def make(make_config: Callable[..., RunConfig]) -> Make:
    """Return points of one experiment that differ in rank and seed."""
    pattern = make_config("method=lora")

    def point(label: str = "", init_from: str | None = None, r: int = 8, seed: int = 0) -> Planned:
        config = deepcopy(pattern)
        assert config.method.peft is not None
        config.model.init_from, config.method.peft["r"] = init_from, r
        config.seed = config.seeds.init = config.seeds.data = seed
        return Planned((f"r={r}", f"seed={seed}"), config, (), frozenset({label} if label else ()))

    return point


def test_of_several_runs_the_one_with_the_same_seed_is_meant(make: Make) -> None:
    sources = [make("base", seed=seed) for seed in (0, 1, 2)]
    others = [make("", "base", r=4, seed=seed) for seed in (2, 0)]
    identify([*others, *sources])
    assert [point.source for point in others] == [sources[2].run_id, sources[0].run_id]


def test_one_run_is_meant_whatever_its_seed(make: Make) -> None:
    source, other = make("base"), make("", "base", seed=3)
    identify([source, other])
    assert other.source == source.run_id


def test_duplicates_are_one_run(make: Make) -> None:
    source, twin, other = make("base"), make("base"), make("", "base", r=2)
    identify([source, twin, other])
    assert other.source == source.run_id == twin.run_id


def test_a_run_id_by_hand_stays_what_it_is(make: Make) -> None:
    point, alone = make("", "0123456789abcdef"), make()
    identify([point, alone])
    assert point.source == "0123456789abcdef"
    assert point.run_id != alone.run_id


def test_the_identity_of_a_point_holds_that_of_its_source(make: Make) -> None:
    ids = []
    for r in (2, 4):
        source, other = make("base", r=r), make("", "base")
        identify([source, other])
        ids += [source.run_id, other.run_id]
    identify([alone := make()])
    assert len({*ids, alone.run_id}) == 5  # the sources alone differ, and both dependants are new


def test_labels_of_another_experiment_are_not_meant(make: Make) -> None:
    source, other = make("base"), make("", "base", r=2)
    source.experiment = ("experiment=another",)
    with pytest.raises(BadConfig, match="no block here has a label"):
        identify([source, other])


def test_an_unknown_label_has_a_suggestion(make: Make) -> None:
    with pytest.raises(BadConfig, match=r"bsae is neither .* choose one of base; did you mean 'base'\?"):
        identify([make("base"), make("", "bsae", r=2)])


@pytest.mark.parametrize(
    ("ranks", "seeds", "sentence"),
    [
        ((2, 4), (0, 0), "of the 2 runs of that block 2 have seed=0, and exactly one must"),
        ((8, 8), (1, 2), "of the 2 runs of that block 0 have seed=0, and exactly one must"),
    ],
)
def test_a_label_must_mean_one_run(
    make: Make, ranks: tuple[int, ...], seeds: tuple[int, ...], sentence: str
) -> None:
    block = [make("base", r=r, seed=seed) for r, seed in zip(ranks, seeds, strict=True)]
    with pytest.raises(BadConfig, match=sentence):
        identify([*block, make("", "base", r=16)])


def test_circles_are_refused(make: Make) -> None:
    with pytest.raises(BadConfig, match="init_from=c -> b -> c goes round in a circle"):
        identify([make("a", "b"), make("b", "c", r=2), make("c", "b", r=4)])
    with pytest.raises(BadConfig, match="init_from=a -> a goes round"):
        identify([make("a", "a")])


def test_stages_follow_the_lineage_of_what_is_left(make: Make) -> None:
    base, middle, last, alone = make("a"), make("b", "a", r=2), make("", "b", r=4), make(r=16)
    identify([base, middle, last, alone])
    assert stages([last, alone, middle, base]) == [[alone, base], [middle], [last]]
    assert stages([last, alone, middle]) == [[alone, middle], [last]]
    assert stages([last, alone]) == [[last, alone]]
    assert stages([]) == []


def test_a_run_that_changed_only_some_weights_needs_those_of_its_source(make: Make, tmp_path: Path) -> None:
    base, middle, last = make("a"), make("b", "a", r=2), make("", "b", r=4)
    identify([base, middle, last])
    members = {point.run_id: point for point in (base, middle, last)}
    store = Store(tmp_path)
    _finish(store, base, kept=False)
    _finish(store, middle, kept=True)
    assert weightless([last], members, store) == [base]
    middle.config.method.trains = ".*"  # every weight is in its file
    assert weightless([last], members, store) == []


def _finish(store: Store, point: Planned, kept: bool) -> None:
    record = draft(point.config)
    record.status = "succeeded"
    if kept:
        folder = store.path("adapters", point.run_id)
        folder.mkdir(parents=True)
        record.artefacts["adapter"] = store.relative(folder)
    store.put(record)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda c: setattr(c.method, "trained", False), "trains nothing"),
        (lambda c: setattr(c.runtime.point, "model_fingerprint", "other"), "on other base weights"),
        (lambda c: setattr(c.model, "hidden", [3]), "on other base weights"),
        (lambda c: setattr(c.seeds, "split", 1), "has learned from rows that are scored here"),
        (lambda c: setattr(c.dataset, "test_fraction", 0.3), "has learned from rows that are scored here"),
    ],
)
def test_sources_that_do_not_fit(make: Make, spoil: Callable[[RunConfig], None], sentence: str) -> None:
    source, point = make("a"), make("", "a", r=2)
    identify([source, point])
    check_source(point.config, source.config)
    spoil(source.config)
    with pytest.raises(BadConfig, match=sentence):
        check_source(point.config, source.config)


def test_other_splits_of_other_data_are_no_leak(make: Make) -> None:
    source, point = make("a"), make("", "a", r=2)
    identify([source, point])
    source.config.seeds.split = 1
    source.config.runtime.point.data_fingerprint = "other"
    check_source(point.config, source.config)


def test_a_base_in_four_bits_takes_no_weights(make: Make) -> None:
    source, point = make("a"), make("", "a", r=2)
    identify([source, point])
    point.config.method.quantisation = "nf4"
    with pytest.raises(BadConfig, match="holds its base in 4 bits"):
        check_source(point.config, source.config)
