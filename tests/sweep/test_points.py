"""Which points a command line and an experiment come down to."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from command_line import CommandLine
from hydra_plugins.tunesweep._points import points
from tunesweep import door

Write = Callable[[str], None]
MAIN = ("method=lora,qlora", "lora.r=4,8,16")
BLOCK = [f"method={method} lora.r={r}" for method in ("lora", "qlora") for r in (4, 8, 16)]
SMALL = "dataset.limit.train=200 dataset.limit.test=200"


def planned(*words: str) -> list[str]:
    """Return the points of a command, each in its words, without composing them."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(door.conf_folder()), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        config = loader.load_configuration("config", [], RunMode.MULTIRUN)
        return [" ".join(point) for point in points(loader, config, words)]


def test_lists_on_the_command_line_make_their_product(command: CommandLine) -> None:
    out = command(*MAIN)
    assert out.names == BLOCK
    assert [config.lora.alpha for config in out.ran] == [8, 16, 32] * 2
    assert [config.runtime.point.index for config in out.ran] == [1, 2, 3, 4, 5, 6]
    assert "6 points, 6 runs, 0 finished, 6 to do" in out.errors
    assert out.status == 0


@pytest.mark.parametrize("flag", ["-m", "--multirun"])
def test_with_and_without_m_the_plan_is_the_same(command: CommandLine, flag: str) -> None:
    words = ("method=full,lora", "lora.r=4", "runtime.force=true")
    assert command(flag, *words).names == command(*words).names == ["method=full", "method=lora"]


def test_a_command_without_words_is_one_point(command: CommandLine) -> None:
    out = command()
    assert out.names == ["defaults"]
    assert (out.ran[0].runtime.point.index, out.ran[0].runtime.point.total) == (1, 1)


def test_a_method_without_a_rank_is_one_run_whatever_the_ranks(command: CommandLine) -> None:
    out = command("method=full,lora", "lora.r=4,8,16")
    assert out.names == ["method=full lora.r=4", *BLOCK[:3]]
    assert "6 points, 4 runs, 2 duplicates (they differ only in what their method ignores)" in out.errors


def test_alpha_by_default_and_the_same_alpha_given_are_one_run(command: CommandLine) -> None:
    command("lora.r=4")
    assert command("lora.r=4", "lora.alpha=8,16").names == ["lora.alpha=16"]


def test_identical_points_are_one() -> None:
    assert planned("method=lora,lora", "lora.r=4,4") == ["method=lora lora.r=4"]


def test_choice_glob_and_range_sweeps() -> None:
    found = planned("encoding=glob(binary_*)", "seed=range(0,2)", "train.lr=choice(1e-3,1e-4)")
    encodings = ("binary_flat", "binary_rows")
    assert found == [
        f"encoding={e} seed={s} train.lr={r}" for e in encodings for s in (0, 1) for r in (0.001, 0.0001)
    ]


def test_a_list_within_brackets_is_one_value() -> None:
    assert planned("lora.target_modules=[query,value],[key]") == [
        "lora.target_modules=[query,value]",
        "lora.target_modules=[key]",
    ]


def test_an_experiment_is_its_blocks() -> None:
    assert planned("experiment=main_sweep") == [f"{words} experiment=main_sweep" for words in BLOCK]


def test_the_small_scale_has_blocks_of_its_own() -> None:
    found = planned("experiment=main_sweep", "scale=small")
    assert found == [f"{words} {SMALL} experiment=main_sweep scale=small" for words in BLOCK]


def test_scale_can_be_swept() -> None:
    found = planned("experiment=main_sweep", "scale=small,full", "method=lora", "lora.r=4")
    words = "method=lora lora.r=4 experiment=main_sweep scale="
    assert found == [f"{SMALL} {words}small", f"{words}full"]


def test_an_unknown_scale_is_refused(command: CommandLine) -> None:
    out = command("scale=medium", "experiment=main_sweep")
    assert (out.status, out.said) == (1, "error: scale=medium is not an option: choose one of full, small")
    out = command("scale=small")
    assert out.said == "error: scale=small is not an option: choose an experiment that has scales"


def test_a_key_of_the_command_replaces_that_of_the_blocks() -> None:
    found = planned("experiment=main_sweep", "lora.r=2,32", "method=lora")
    assert found == [f"lora.r={r} method=lora experiment=main_sweep" for r in (2, 32)]


def test_a_group_of_the_command_removes_its_keys_from_the_blocks() -> None:
    found = planned("experiment=main_sweep", "lora=r16")
    assert found == [f"method={method} lora=r16 experiment=main_sweep" for method in ("lora", "qlora")]


def test_two_experiments_are_united(command: CommandLine, experiment: Write) -> None:
    experiment(
        "defaults: [{override /dataset: digits}]\n"
        "blocks: ${scales.${scale}}\nscales: {small: [['encoding=binary_flat,binary_rows']]}"
    )
    out = command("experiment=main_sweep,mine", "scale=small", "method=lora", "lora.r=4")
    assert [config.dataset.name for config in out.ran] == ["reviews", "digits", "digits"]
    assert [config.encoding["name"] for config in out.ran] == ["text", "binary_flat", "binary_rows"]


def test_blocks_are_united_and_a_shared_point_is_one(experiment: Write) -> None:
    experiment("blocks: [['lora.r=4,8'], ['lora.r=8,16'], ['method=full', train.epochs=1]]")
    words = ["lora.r=4", "lora.r=8", "lora.r=16", "method=full train.epochs=1"]
    assert planned("experiment=mine") == [f"{word} experiment=mine" for word in words]


def test_a_block_may_have_a_label(experiment: Write) -> None:
    experiment("blocks: [{label: base, points: ['lora.r=4,8']}, [lora.r=8]]")
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(door.conf_folder()), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        config = loader.load_configuration("config", [], RunMode.MULTIRUN)
        found = points(loader, config, ["experiment=mine", "seed=1"])
    assert {words[0]: place.labels for words, place in found.items()} == {
        "lora.r=4": {"base"},
        "lora.r=8": {"base"},  # of both blocks, one point
    }
    assert {place.experiment for place in found.values()} == {("experiment=mine",)}


def test_values_that_belong_in_pairs_are_blocks_of_their_own(experiment: Write) -> None:
    experiment("blocks: [[lora.r=4, lora.alpha=4], [lora.r=8, lora.alpha=32]]")
    pairs = ["lora.r=4 lora.alpha=4", "lora.r=8 lora.alpha=32"]
    assert planned("experiment=mine", "seed=0,1") == [
        f"{pair} seed={seed} experiment=mine" for pair in pairs for seed in (0, 1)
    ]


def test_a_block_keeps_a_list_in_brackets_together(experiment: Write) -> None:
    experiment("blocks: [['lora.target_modules=[query,value],[key]', 'lora.r=4,8']]")
    assert planned("experiment=mine") == [
        f"lora.target_modules={modules} lora.r={r} experiment=mine"
        for modules in ("[query,value]", "[key]")
        for r in (4, 8)
    ]


def test_an_interpolation_in_a_block_means_its_own_point(command: CommandLine, experiment: Write) -> None:
    experiment("blocks: [['lora.r=4,16', 'lora.alpha=${lora.r}']]")
    assert [(c.lora.r, c.lora.alpha) for c in command("experiment=mine").ran] == [(4, 4), (16, 16)]


def test_a_key_may_fit_only_what_a_block_chooses(command: CommandLine, experiment: Write) -> None:
    experiment("defaults: [{override /dataset: digits}]\nblocks: [['encoding=binary_flat,binary_rows']]")
    out = command("experiment=mine", "++encoding.threshold=0.25")
    assert [c.encoding["threshold"] for c in out.ran] == [0.25, 0.25]
    out = command("experiment=mine", "encoding.threshold=0.25")
    assert "write ++encoding.threshold" in out.said


@pytest.mark.parametrize(
    ("blocks", "words"),
    [
        ("[lora.r=4]", "block lora.r=4 must be a list of overrides"),
        ("[[4]]", "block [4] must be a list of overrides"),
        ("[[{lora.r: 4}]]", "block [{'lora.r': 4}] must be a list of overrides"),
        ("[['lora.r=[4']]", "lora.r=[4 cannot be read"),
        ("[[lora=16]]", "lora=16 is not an option: choose one of r128, r16"),
        ("[[lora.rank=4]]", "lora.rank is not an option"),
        ("[[method=lroa]]", "did you mean 'lora'?"),
        ("[{label: a b, points: [lora.r=2]}]", "label a b of a block must be a word"),
        ("[{label: true, points: [lora.r=2]}]", "label True of a block must be a word"),
        ("[{label: deadbeefdeadbeef, points: [lora.r=2]}]", "of a block must be a word"),
        ("[{label: a, point: [lora.r=2]}]", "or {label: NAME, points: [...]}"),
        ("[{label: a, points: lora.r=2}]", "must be a list of overrides"),
        ("4", "is of the wrong kind"),
        ("${scales.tiny}", "there is no scales.tiny"),
    ],
)
def test_bad_blocks_are_refused(command: CommandLine, experiment: Write, blocks: str, words: str) -> None:
    experiment(f"blocks: {blocks}\nscales: {{full: [[lora.r=4]]}}")
    out = command("experiment=mine")
    assert words in out.said
    assert (out.status, out.ran) == (1, [])


def test_a_name_leaves_out_how_a_point_is_carried_out(command: CommandLine) -> None:
    assert command("runtime.threads=2", "lora.r=4", "hydra.job.name=x").names == ["lora.r=4"]
