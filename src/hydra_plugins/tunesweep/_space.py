"""From the words of a command to a search space: what it sweeps, in Hydra's own grammar, is a dimension."""

from __future__ import annotations

from collections.abc import Iterable

from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep, Sweep

from hydra_plugins.tunesweep._points import Words
from tunesweep.errors import BadConfig
from tunesweep.search.space import Choice, Dimension, Interval, Space

# Why a key is no dimension. Its own name, or what stands before its first dot.
REFUSED = {
    "runtime": "it changes no score: give it one value",
    "search": "one command is one search: give it one value",
    "hydra": "it changes no score: give it one value",
    "dataset": "scores on different data do not compare: give it one value",
    "seed": "the best seed is luck: give it one value, and run what was chosen with several",
    "seeds": "the best seed is luck: give it one value, and run what was chosen with several",
}
LIMITS = "dataset.limit.train"  # how much is learned from; select and test stay the same


def split(overrides: Iterable[Override]) -> tuple[Words, Space]:
    """Return the words that hold for every point, and the space, by key: the order of words says nothing.

    Of a key given twice the last counts, as in Hydra's own sweeps.
    """
    last = {override.get_key_element(): override for override in overrides}
    fixed = tuple(str(o.input_line) for o in last.values() if not o.is_sweep_override())
    space = tuple(_dimension(o) for o in last.values() if o.is_sweep_override())
    if not space:
        raise BadConfig(
            "a search needs something to search over: give a key several values, such as lora.r=4,8 or "
            "'train.lr=tag(log,interval(1e-5,1e-3))'"
        )
    return fixed, tuple(sorted(space, key=lambda dimension: dimension.key))


def check_swept(overrides: Iterable[Override]) -> None:
    """Refuse to choose by what no choice should be made by."""
    for override in overrides:
        key = override.key_or_group
        group = key.split(".")[0].split("/")[0]
        if override.is_sweep_override() and group in REFUSED and key != LIMITS:
            raise BadConfig(f"{override.input_line} cannot be searched over: {REFUSED[group]}")


def _dimension(override: Override) -> Dimension:
    sweep, key, line = override.value(), override.get_key_element(), override.input_line
    tags = sweep.tags if isinstance(sweep, Sweep) else set()
    if tags - {"log"} or (tags and not isinstance(sweep, IntervalSweep)):
        raise BadConfig(f"{line} has a tag that says nothing here: the one there is, log, is for an interval")
    if isinstance(sweep, IntervalSweep):
        assert sweep.start is not None
        assert sweep.end is not None
        whole = isinstance(sweep.start, int) and isinstance(sweep.end, int)
        return Interval(key, sweep.start, sweep.end, log=bool(tags), whole=whole)
    if isinstance(sweep, ChoiceSweep | RangeSweep) and sweep.shuffle:
        raise BadConfig(f"{line} shuffles values, and a search has an order of its own: leave shuffle out")
    words = tuple(dict.fromkeys(override.sweep_string_iterator()))
    return Choice(key, words, ordered=isinstance(sweep, RangeSweep))
