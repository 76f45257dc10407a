"""A run that starts from another: what that other must be, and its weights in place of the base's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from tunesweep import door
from tunesweep.config import RunConfig
from tunesweep.errors import BadConfig, StorageError
from tunesweep.record import RunRecord
from tunesweep.store import NAME, Store
from tunesweep.verify import problems

if TYPE_CHECKING:
    import torch

    from tunesweep.models.readouts import Readout

Tensors: TypeAlias = "Mapping[str, torch.Tensor]"

KEEP = "runtime.keep=all"


def kept(store: Store, record: RunRecord) -> bool:
    """Whether a run's trained weights are still in the store."""
    return "adapter" in record.artefacts and store.path("adapters", record.run_id).is_dir()


def finished(run_id: str, store: Store) -> RunRecord:
    """Return the record of a run that others can start from, or say what it lacks."""
    record = store.get(run_id) if NAME.fullmatch(run_id) else None
    if record is None:
        raise BadConfig(
            f"model.init_from={run_id}: {store.root} holds no such run: carry it out with {KEEP}, "
            "or name its store by runtime.store=FOLDER"
        )
    if not record.succeeded:
        raise BadConfig(f"model.init_from={run_id}: that run {record.shortfall}; repeat it, with {KEEP}")
    if not kept(store, record):
        raise BadConfig(
            f"model.init_from={run_id}: that run kept no weights; repeat it with {KEEP} runtime.force=true"
        )
    return record


def ancestors(config: RunConfig, store: Store) -> Iterator[RunConfig]:
    """Yield the run that a point starts from and, while weights of theirs are needed, those before it."""
    while config.model.init_from is not None:
        config = door.of_record(finished(config.model.init_from, store), config.runtime)
        yield config
        if config.method.full:  # it holds every weight
            return


def check_source(config: RunConfig, source: RunConfig) -> None:
    """Refuse a source whose weights cannot be taken over, or which has learned from what is to be scored.

    Both points must know their fingerprints.
    """
    name = f"model.init_from={config.model.init_from} (method={source.method.name})"
    if not source.method.trained:
        raise BadConfig(f"{name} trains nothing: leave model.init_from out")
    if _beside(source) and not source.method.merges:
        raise BadConfig(
            f"{name} cannot become part of the base's weights: start from a run of method=full or lora"
        )
    if _base(source) != _base(config):
        raise BadConfig(
            f"{name} is a run of model={source.model.name} on other base weights, or of another "
            f"architecture, than model={config.model.name} here: both must be the same"
        )
    if _drawn_otherwise(config, source):
        raise BadConfig(
            f"{name} changed only some of the weights that seeds.init={source.seeds.init} drew: give both "
            "runs the same seeds.init, or start from a run of method=full"
        )
    if config.method.quantisation:
        raise BadConfig(
            f"method={config.method.name} holds its base in 4 bits, into which the weights of {name} cannot "
            "be put: use a method without quantisation, such as method=lora"
        )
    if _scored_was_learned(config, source):
        raise BadConfig(
            f"{name} has learned from rows that are scored here: give both the same seeds.split, "
            "dataset.test_fraction, dataset.fold and classes (dataset.label), or name a split by dataset.test"
        )


def _beside(source: RunConfig) -> bool:
    """Whether what was trained lies beside the base's own weights."""
    return source.method.peft is not None or source.method.layers is not None


def _base(config: RunConfig) -> tuple[object, ...]:
    model = config.model
    return config.runtime.point.model_fingerprint, model.family, model.hidden, model.architecture


def _drawn_otherwise(config: RunConfig, source: RunConfig) -> bool:
    """Whether a source was laid over a random base that is not drawn here."""
    kept = source.method.full or source.model.init_from is not None
    return source.model.random and not kept and source.seeds.init != config.seeds.init


def _scored_was_learned(config: RunConfig, source: RunConfig) -> bool:
    """Whether both cut their test split from the same rows, but not in the same way."""
    if config.runtime.point.data_fingerprint != source.runtime.point.data_fingerprint:
        return False
    ours, theirs = _cut(config), _cut(source)
    return ours != theirs and None not in (ours, theirs)


def _cut(config: RunConfig) -> tuple[object, ...] | None:
    """Return what decides which rows of train are scored; nothing where a test split is given."""
    dataset = config.dataset
    if dataset.folds is None and (dataset.test or dataset.folder):
        return None
    rows = dataset.group, dataset.split_column, sorted(dataset.split_names.items())
    # A cut keeps the shares of the classes, so it depends on what a class is.
    classes = dataset.task, dataset.label, dataset.one_hot, sorted(dataset.label_names.items())
    return config.seeds.split, dataset.test_fraction, dataset.folds, dataset.fold, rows, classes


def start_from(
    network: Readout, config: RunConfig, store: Store, classes: Sequence[str] | None = None
) -> list[str]:
    """Put the weights of run `model.init_from` into a bare network, in place; return what is to be noted.

    Body and head are taken over by name. A head for other classes (by name, where `classes` are given, else
    by number) is left new. A run that changed only some weights is laid over what it started from itself.
    """
    notes: list[str] = []
    for source in reversed(list(ancestors(config, store))):
        check_source(config, source)
        record = finished(source.runtime.point.run_id, store)
        folder = store.path("adapters", record.run_id)
        for problem in problems(store, record, below=store.relative(folder)):
            raise StorageError(problem)  # the id of that run stands for its weights
        same = classes is None or list(record.data.get("labels") or ()) == list(classes)
        if _beside(source):
            _merge(network, source, folder, same)
            notes = []
        else:
            notes = _copy(network, source, folder, same)
    return notes


def _copy(network: Readout, source: RunConfig, folder: Path, same: bool) -> list[str]:
    """Take over tensors by name: all of them, or those that the source trained."""
    from safetensors.torch import load_file

    from tunesweep.methods import artefact
    from tunesweep.methods.attach import is_head

    state, found = load_file(str(folder / artefact.TRAINED)), dict(network.named_parameters())
    head = [name for name in state if is_head(name, source)]
    fits = same and all(_fits(name, state, found) for name in head)
    left = [] if fits else head
    taken = {name: tensor for name, tensor in state.items() if name not in left}
    _check_shapes(found, taken, source)
    artefact.restore(network, taken)
    run_id = source.runtime.point.run_id
    return [f"the head is new: run {run_id}, which this one starts from, has other classes"] if left else []


def _fits(name: str, state: Tensors, network: Tensors) -> bool:
    return name in network and network[name].shape == state[name].shape


def _check_shapes(network: Tensors, taken: Tensors, source: RunConfig) -> None:
    if odd := [name for name in taken if not _fits(name, taken, network)]:
        raise BadConfig(
            f"model.init_from={source.runtime.point.run_id} has {len(odd)} tensors that the network here has "
            f"not ({odd[0]} is the first): start from a run with the same readout "
            f"({source.readout.name} there) and model"
        )


def _merge(network: Readout, source: RunConfig, folder: Path, same: bool) -> None:
    """Attach the source's adapter, load it, and make it part of the weights, in their own precision."""
    from tunesweep.methods import artefact
    from tunesweep.methods.merging import absorb

    if not same:
        raise BadConfig(
            f"model.init_from={source.runtime.point.run_id} (method={source.method.name}) has other classes "
            "than this run: start from a run of method=full"
        )
    artefact.load(network, source, folder)
    layers = [module for name, module in network.body.named_modules() if name.endswith(".base_layer")]
    held = [next(layer.parameters()).dtype for layer in layers]
    absorb(network)
    for layer, dtype in zip(layers, held, strict=True):
        layer.to(dtype)
