"""Who a run is: every field of the schema is decided on, here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import fields, is_dataclass
from importlib.metadata import version
from typing import Any

import pytest

from tunesweep import identity
from tunesweep.config import RunConfig

Make = Callable[..., RunConfig]

_COMPOSED: dict[tuple[str, ...], RunConfig] = {}


def listed(text: str) -> list[str]:
    return text.split()


# A new field of the schema belongs into one of these two lists: can it change a number?
COUNTS = listed(
    """
    model.family model.dtype model.head model.pad model.end model.pooling model.hidden model.architecture
    model.init_from
    method.trained method.trains method.quantisation method.peft method.layers method.hook
    method.shots.k method.shots.per_class method.shots.by
    dataset.task dataset.modality dataset.format dataset.text dataset.text_pair dataset.image dataset.label
    dataset.group dataset.labels dataset.label_names dataset.header dataset.delimiter dataset.quoting
    dataset.pattern dataset.charset dataset.test_fraction dataset.select_fraction dataset.limit.train
    dataset.limit.select dataset.limit.test
    dataset.responses dataset.swap dataset.augment_swaps dataset.turns dataset.answer dataset.one_hot
    dataset.split_column dataset.split_names dataset.train_classes dataset.folds dataset.fold
    encoding
    readout.name readout.pooling readout.words readout.prompt readout.chat readout.normalise
    readout.calibration readout.constrain readout.max_new_tokens
    train.lr train.epochs train.warmup train.optimizer train.schedule train.batch_size train.weight_decay
    train.clip
    train.dropout train.class_weights train.precision train.monitor train.patience train.bucketing
    seeds.init seeds.data seeds.split
    """
)

# Names, places, what only guards or acts through another field (the lora group through method.peft,
# seed through seeds), and where and how a point is carried out.
COUNTS_NOT = listed(
    """
    model.name model.source model.revision model.file model.target_modules model.width model.max_length
    model.trust_remote_code model.budget model.tokenizer model.past_key_values
    method.name method.merges method.budget.lr method.budget.epochs method.budget.warmup method.budget.source
    lora.r lora.alpha lora.dropout lora.rslora lora.targets lora.target_modules
    dataset.name dataset.train dataset.select dataset.test dataset.folder dataset.path dataset.files
    dataset.local dataset.revision
    runtime.store runtime.cache runtime.device runtime.workers runtime.threads runtime.stop_after
    runtime.strategy runtime.devices runtime.checkpoint_minutes runtime.timeout_minutes runtime.extends
    runtime.micro_batch runtime.eval_batch_size runtime.fuse runtime.early_exit runtime.probe_steps
    runtime.gradient_checkpointing runtime.packing runtime.compile runtime.attention runtime.kernels
    runtime.keep runtime.force runtime.progress
    runtime.wandb.mode runtime.wandb.project runtime.wandb.entity
    runtime.point.run_id runtime.point.sweep_id runtime.point.model_fingerprint
    runtime.point.data_fingerprint runtime.point.name runtime.point.index runtime.point.total
    runtime.point.command runtime.point.folder runtime.point.minutes runtime.point.memory_bytes
    runtime.point.own_bytes runtime.point.uses_lora runtime.point.executor runtime.point.lr_by_hand
    seed
    """
)

# What a readout alone looks at counts for that readout alone.
READ = {
    "readout.pooling": ["linear"],
    "model.pooling": ["linear"],
    "readout.words": ["label_words", "generate"],
    "readout.prompt": ["label_words", "generate"],
    "readout.chat": ["label_words", "generate"],
    "readout.normalise": ["label_words"],
    "readout.calibration": ["label_words"],
    "readout.constrain": ["generate"],
    "readout.max_new_tokens": ["generate"],
}
READOUTS = ("head", "linear", "label_words", "generate")
PROMPTED = ("readout=label_words", "model=smollm2_135m")
SAMPLES = {"method.peft": {"r": 3}, "readout.name": "other"}


def leaves(node: Any, path: str = "") -> Iterator[str]:
    for item in fields(node):
        value = getattr(node, item.name)
        if is_dataclass(value):
            yield from leaves(value, f"{path}{item.name}.")
        else:
            yield f"{path}{item.name}"


def changed(config: RunConfig, key: str) -> RunConfig:
    """Return the point with another value for one key."""
    other = deepcopy(config)
    node: Any = other
    *owners, name = key.split(".")
    for owner in owners:
        node = getattr(node, owner)
    setattr(node, name, SAMPLES.get(key) or another(getattr(node, name)))
    return other


def another(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, list):
        return [*value, "more"]
    if isinstance(value, dict):
        return value | {"more": "more"}
    return f"{value}more"


def name_of(config: RunConfig, model: str = "m", data: str = "d") -> str:
    return identity.run_id(config, model, data)


@pytest.fixture
def point(make_config: Make) -> Make:
    """Compose each command once: what follows changes copies."""

    def make(*words: str) -> RunConfig:
        if words not in _COMPOSED:
            _COMPOSED[words] = make_config(*words)
        return deepcopy(_COMPOSED[words])

    return make


def test_every_field_of_the_schema_is_decided_on(point: Make) -> None:
    assert sorted(leaves(point())) == sorted(COUNTS + COUNTS_NOT)


@pytest.mark.parametrize("key", COUNTS)
def test_what_can_change_a_number_changes_the_id(point: Make, key: str) -> None:
    config = point(f"readout={READ.get(key, ['head'])[0]}")
    assert name_of(changed(config, key)) != name_of(config)


@pytest.mark.parametrize("key", COUNTS_NOT)
def test_what_changes_no_number_leaves_the_id(point: Make, key: str) -> None:
    config = point()
    other = changed(config, key)
    assert other != config
    assert name_of(other) == name_of(config)


@pytest.mark.parametrize("key", READ)
def test_what_a_readout_does_not_look_at_leaves_the_id(point: Make, key: str) -> None:
    for readout in READOUTS:
        config = point(f"readout={readout}")
        assert (name_of(changed(config, key)) != name_of(config)) is (readout in READ[key]), readout


def differing(config: RunConfig, keys: list[str]) -> list[str]:
    """Return the keys that change the id of a point."""
    return [key for key in keys if name_of(changed(config, key)) != name_of(config)]


def test_what_is_not_trained_knows_nothing_of_training(point: Make) -> None:
    counts = [key for key in COUNTS if key.startswith(("train.", "seeds.", "method.shots."))]
    zero, few = (point(f"method={method}", *PROMPTED) for method in ("zero_shot", "few_shot"))
    asked = ["method.shots.k", "method.shots.per_class", "method.shots.by", "train.precision", "seeds.split"]
    assert differing(zero, counts) == asked
    # The order of the data chooses the solved examples, unless likeness does.
    assert differing(few, counts) == [*asked[:-1], "seeds.data", "seeds.split"]
    alike = point("method=few_shot", *PROMPTED, "method.shots.by=similarity")
    assert differing(alike, counts) == asked
    assert differing(zero, ["readout.prompt", "readout.calibration", "model.dtype", "encoding"]) == [
        *("readout.prompt", "readout.calibration", "model.dtype", "encoding")
    ]


def test_random_weights_are_drawn_from_a_seed_though_nothing_is_trained(point: Make) -> None:
    config = point("method=zero_shot", "readout=label_words", "model=random_llama")
    assert differing(config, ["seeds.init", "model.architecture", "train.lr"]) == [
        "seeds.init",
        "model.architecture",
    ]


def test_the_lora_group_counts_for_methods_that_refer_to_it_alone(point: Make) -> None:
    for method, differ in (("lora", True), ("dora", True), ("full", False), ("bitfit", False)):
        for words in (
            "lora.r=4",
            "lora.alpha=3",
            "lora.dropout=0.5",
            "lora.rslora=true",
            "lora.targets=all_linear",
        ):
            one, other = point(f"method={method}"), point(f"method={method}", words)
            assert (name_of(one) != name_of(other)) is differ, (method, words)


def test_two_methods_are_two_runs(point: Make) -> None:
    methods = ("lora", "dora", "qlora", "full", "head_only", "bitfit")
    assert len({name_of(point(f"method={method}", "train.lr=1e-3")) for method in methods}) == len(methods)


def test_alpha_by_default_is_alpha_given(point: Make) -> None:
    assert name_of(point("lora.r=4")) == name_of(point("lora.r=4", "lora.alpha=8"))
    assert name_of(point("lora.r=4")) != name_of(point("lora.r=4", "lora.alpha=4"))


def test_a_budget_taken_or_given_is_the_same(point: Make) -> None:
    given = point("method=full", "train.lr=5e-5", "train.epochs=2", "train.warmup=0.06")
    assert name_of(point("method=full")) == name_of(given)


def test_target_modules_are_a_set(point: Make) -> None:
    one, other = (point(f"lora.target_modules=[{m}]") for m in ("query,value", "value,query"))
    assert name_of(one) == name_of(other)
    assert name_of(one) != name_of(point("lora.target_modules=[query]"))


def test_the_order_of_classes_is_not_a_set(point: Make) -> None:
    one, other = (point(f"dataset.labels=[{names}]") for names in ("fresh,rotten", "rotten,fresh"))
    assert name_of(one) != name_of(other)


def test_a_model_that_reads_pictures_ignores_the_encoding(point: Make) -> None:
    words = ("dataset=digits", "model=mlp", "method=full")
    assert name_of(point(*words, "encoding=binary_flat")) == name_of(point(*words))
    text = ("dataset=digits", "model=minilm")
    assert name_of(point(*text, "encoding=binary_flat")) != name_of(point(*text))


def test_seed_acts_through_the_seeds(point: Make) -> None:
    assert name_of(point("seed=1")) != name_of(point())
    both = point("seed=1", "seeds.init=0", "seeds.data=0")
    assert name_of(both) == name_of(point())


def test_content_recipe_and_libraries_count(point: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    config = point()
    found = {name_of(config), name_of(config, model="other"), name_of(config, data="other")}
    monkeypatch.setattr(identity, "RECIPE", identity.RECIPE + 1)
    found.add(name_of(config))
    monkeypatch.setattr(identity, "version", lambda name: "9.9.9")
    found.add(name_of(config))
    assert len(found) == 5


def test_an_id_is_made_of_these_parts_and_no_others(point: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under other names, or with one more, every run of every store would be another."""
    monkeypatch.setattr(identity, "version", lambda name: "1.2.3")
    config = point("method=zero_shot", "readout=label_words")
    parts = {
        "config": identity.canonical(config),
        "model": "m",
        "data": "d",
        "recipe": identity.RECIPE,
        "libraries": dict.fromkeys(identity.LIBRARIES, "1.2"),
    }
    assert identity.run_id(config, "m", "d") == identity.digest(parts)
    assert parts["config"]["train"] == {"precision": config.train.precision}
    pictures = identity.canonical(point("dataset=digits", "model=mlp", "method=full"))
    assert pictures["encoding"] == {}


def test_a_patch_release_of_a_library_leaves_the_id(point: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    before = name_of(point())
    monkeypatch.setattr(identity, "version", lambda name: ".".join(version(name).split(".")[:2]) + ".99")
    assert name_of(point()) == before


def test_an_id_is_a_hash_of_canonical_json() -> None:
    text = '{"a":[1,2.5,null],"b":"ü"}'
    value = {"b": "ü", "a": [1, 2.5, None]}
    expected = hashlib.sha256(json.dumps(json.loads(text), sort_keys=True, separators=(",", ":")).encode())
    assert identity.digest(value) == expected.hexdigest()[:16]
    with pytest.raises(ValueError, match="JSON compliant"):
        identity.digest(float("nan"))


def test_a_sweep_is_a_set_of_runs() -> None:
    assert identity.sweep_id(["b", "a", "a"]) == identity.sweep_id(["a", "b"])
    assert identity.sweep_id(["a"]) != identity.sweep_id(["a", "b"])
