"""Comparison tables: which rows may stand together, in which columns, with which notes. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from tunesweep.report import anchors, factors, tuning, tuning_remarks
from tunesweep.report.columns import ABOUT, DASH, Column, columns
from tunesweep.report.fields import one_line
from tunesweep.report.rows import NOT_RUN, Row
from tunesweep.report.scores import Reader
from tunesweep.report.seeds import merge, partly_stopped
from tunesweep.report.verdict import Verdict, judge
from tunesweep.report.within import conclusions

NOT_TUNED = "not tuned for this method"  # in a method's budget.source, as `tunesweep new` writes it
FEW_STEPS = 50  # of an optimiser; what methods' authors publish takes hundreds
RANDOM = "random"  # what `model.source` says of weights that were drawn, not read


@dataclass(frozen=True)
class Block:
    """Rows that were measured alike, and what a reader has to know about them."""

    title: str
    rows: list[Row]  # one a configuration
    columns: list[Column]
    notes: list[str]
    runs: list[Row]  # one a run
    verdict: Verdict
    trials: list[tuning.Trials] = field(default_factory=list)  # what rows were chosen among


@dataclass(frozen=True)
class Table:
    """A whole report: its name, blocks and remarks; where one is wanted, a report per class as Markdown."""

    name: str
    blocks: list[Block]
    notes: list[str]
    classes: str = ""


def table(
    name: str,
    rows: list[Row],
    *,
    duplicates: int = 0,
    problems: Iterable[str] = (),
    wanted: Sequence[str] = (),
    declared: Iterable[str] = (),
    factors: Sequence[str] = (),
    tuned: Sequence[str] = (),
    within: str | None = None,
    read: Reader = lambda _: None,
) -> Table:
    """Build the report of some rows, in the order given.

    `wanted` are the columns of an experiment, `declared` the settings that it and its command name,
    `factors` the settings that it is about, `tuned` those of which each row shows the best on select,
    `within` one at whose values rows are compared; `read` gives a row's scores per example, which rows
    are compared by.
    """
    groups = group(rows)
    options = Options(tuple(wanted), tuple(declared), tuple(factors), tuple(tuned), within)
    blocks = [_block(title, runs, options, read) for title, runs in zip(_titles(groups), groups, strict=True)]
    return Table(name, blocks, [*_remarks(blocks, duplicates), *map(one_line, problems)])


@dataclass(frozen=True)
class Options:
    """What an experiment says of its table: columns, its subject, what it tunes, and what it looks along."""

    wanted: tuple[str, ...] = ()
    declared: tuple[str, ...] = ()
    factors: tuple[str, ...] = ()
    tuned: tuple[str, ...] = ()
    within: str | None = None


def _block(title: str, runs: list[Row], options: Options, read: Reader) -> Block:
    runs = [tuning.with_select(run) for run in runs] if options.tuned else runs
    chosen, trials = tuning.tune(merge(runs), options.tuned)
    verdict = judge(chosen, read)
    rows, declared = verdict.rows, (*options.declared, *options.tuned)
    keys = tuning.varied(trials, options.tuned)
    notes = [
        *tuning_remarks.remarks(rows, trials, options.tuned),
        *conclusions(rows, options.within, (*options.factors, *options.tuned), read),
        *_notes(verdict, keys),
        *factors.remarks(rows, declared),
        *_cut_short(rows),
        *_ends(runs),
    ]
    return Block(title, rows, columns(rows, options.wanted, keys), notes, runs, verdict, trials)


def group(rows: list[Row]) -> list[list[Row]]:
    """Put rows together that agree in data, scored examples, labels and protocol (R15).

    A row without a number joins the block of its data set where there is exactly one.
    """
    homes: dict[object, dict[tuple[str, ...], None]] = {}
    for row in rows:
        if row.measured:
            # A row that knows no data set, as one without a config, may join any block.
            for dataset in (row["dataset"], None):
                homes.setdefault(dataset, {})[row.measured] = None
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        known = list(homes.get(row["dataset"], {}))
        home = row.measured or (known[0] if len(known) == 1 else (str(row["dataset"]),))
        groups.setdefault(home, []).append(row)
    return list(groups.values())


def _titles(groups: list[list[Row]]) -> list[str]:
    """Return a title for each block; those that would be the same say their model, or else their number."""
    titles = [_title(rows) for rows in groups]
    models = [", ".join(dict.fromkeys(str(row["model"]) for row in rows)) for rows in groups]
    named = list(zip(titles, models, strict=True))
    ends = {
        place: f" · {model}" if named.count((title, model)) == 1 else f" · block {place + 1}"
        for place, (title, model) in enumerate(named)
        if titles.count(title) > 1
    }
    return [title + ends.get(place, "") for place, title in enumerate(titles)]


def _title(rows: list[Row]) -> str:
    names = ", ".join(dict.fromkeys(row["dataset"] for row in rows if row["dataset"])) or "unknown data"
    scored = next((row for row in rows if row.measured), None)
    if scored is None:
        return f"{names} · nothing scored"
    chosen = f" · chosen on {scored['chosen_on']}" if scored["chosen_on"] else ""
    n = "unknown" if scored["n"] is None else f"{scored['n']:,}"
    return f"{names} · {scored['metric']} on {scored['split']} · n = {n}{chosen}"


def _notes(verdict: Verdict, tuned: list[str]) -> Iterator[str]:
    """Say what a reader of a block must not overlook."""
    rows = verdict.rows
    yield from _intervals(rows)
    yield from verdict.notes
    for protocol in dict.fromkeys(str(row["perplexity_of"]) for row in rows if row["perplexity_of"]):
        yield f"Perplexity: {protocol}."
    for name in dict.fromkeys(str(row["model"]) for row in rows if row["model.source"] == RANDOM):
        yield f"{name} is a small random model, not pretrained."
    if any(row["before"] is not None for row in rows):
        yield "Before training: the bare backbone, its head untrained."
    yield from _not_learned(rows)
    yield from few_steps(rows)
    if hows := dict.fromkeys(str(row["memory_how"]) for row in rows if row["memory_how"]):
        yield f"Memory is the peak above the loaded model: {'; '.join(hows)}."
    yield from _together(rows)
    if "train.lr" not in tuned:
        yield from _untuned(rows)
    yield from _collapsed(rows)
    yield from anchors.remarks(rows)


def _runs(rows: list[Row]) -> list[Row]:
    return [run for row in rows for run in row.runs or (row,)]


def _not_learned(rows: list[Row]) -> Iterator[str]:
    """Say what the mark means where there is one, and what may help."""
    runs = _runs(rows)
    if any(run["learned"] is False for run in runs):
        yield (
            "Not learned: the score before training, or what always saying the most frequent class would "
            "give, lies in the interval, or all examples got one answer. "
            "More epochs (train.epochs), examples or another rate (train.lr) may help."
        )
    for answer, times in Counter(run["one_answer"] for run in runs if run["one_answer"]).items():
        yield f"'{one_line(answer)}' was said of every example ({times} of {len(runs)} runs)."


def few_steps(rows: list[Row]) -> Iterator[str]:
    """Say where training was so short that the outcome says little of a method."""
    steps = [run["steps"] for run in _runs(rows) if run["steps"] and run["score"] is not None]
    if few := [count for count in steps if count < FEW_STEPS]:
        least = f"{min(few)}" if min(few) == max(few) else f"{min(few)} to {max(few)}"
        yield (
            f"{len(few)} of {len(_runs(rows))} runs took fewer than {FEW_STEPS} steps ({least}), "
            "too few to judge a method by: train.epochs=15, say, takes more."
        )


def _together(rows: list[Row]) -> Iterator[str]:
    """Say which costs are not those of a whole run."""
    fused = [row for row in rows if row["group_runs"]]
    if not fused:
        return
    yield f"{len(fused)} of {len(rows)} rows were trained together with others; a group's costs are nobody's."
    if any(row["probed"] for row in fused):
        steps = max(round(row["probed"] or 0) for row in fused)
        yield f"{ABOUT} Measured by {steps} steps of the run, or of one that computes the same, alone."


def _intervals(rows: list[Row]) -> Iterator[str]:
    """Say what the intervals of a block count."""
    alone = [row for row in rows if row["low"] is not None and len(row.runs) < 2]
    if alone:
        kind = "Wilson" if any(row["metric"] == "accuracy" for row in alone) else "normal, of the mean loss"
        which = "The 95 % interval" if len(alone) == len(rows) else "Of rows with one seed the 95 % interval"
        yield f"{which} ({kind}) counts the scored examples alone, not the seeds."
    if any(len(row.runs) > 1 and row["low"] is not None for row in rows):
        yield "The 95 % interval of several seeds counts seeds and examples (crossed effects, t)."


def _cut_short(rows: list[Row]) -> Iterator[str]:
    """Say which configurations have no score, since some of their seeds were stopped early."""
    if names := [str(row["name"]) for row in rows if partly_stopped(row.runs)]:
        yield (
            f"No score: {', '.join(names)}: some seeds were stopped early, and a mean over the others is one "
            "over the lucky ones. The same command without runtime.early_exit carries out the rest."
        )


def _ends(rows: list[Row]) -> Iterator[str]:
    """Say what runs warned of, which failed, and which are missing."""
    for warning, times in Counter(text for row in rows for text in dict.fromkeys(row.warnings)).items():
        yield f"{warning} ({times} of {len(rows)} rows)"
    for row in rows:
        if row["failure"] or row["failure_class"]:
            kind = row["failure_class"] or "unknown"
            reason = row["failure"] or DASH
            yield f"{row['outcome']}: {row['name']}: " + (
                reason if row["outcome"] == kind else f"{kind}: {reason}"
            )
        elif row["stopped"]:
            yield f"stopped: {row['name']}: {row['stopped']}"
    if absent := sum(row["status"] == NOT_RUN for row in rows):
        yield f"{absent} of {len(rows)} points have no record yet: the sweep or the same command runs them."


def _untuned(rows: list[Row]) -> Iterator[str]:
    given = [row for row in rows if row.lr_by_hand]
    rates = {row["lr"] for row in given}
    if len(rates) == 1 and len({row["method"] for row in given}) > 1:
        rate = f"One learning rate ({rates.pop():g}) for all methods, untuned"
        yield f"{rate}: their order may be due to the rate."
    for method in dict.fromkeys(str(row["method"]) for row in rows if _at_a_rate_of_others(row)):
        yield (
            f"method={method} has a rate that was not chosen for it, which may put it last: try several, as "
            "in train.lr=1e-3,1e-2 report.tuning=[train.lr]."
        )


def _at_a_rate_of_others(row: Row) -> bool:
    """Whether a method runs at a rate of which its YAML says that it is another's."""
    return not row.lr_by_hand and NOT_TUNED in str(row.settings.get("method.budget.source"))


def _collapsed(rows: list[Row]) -> Iterator[str]:
    """Name encodings that the tokenizer turns into the same ids."""
    names: dict[tuple[str, ...], set[str]] = {}
    for row in rows:
        if row.tokens and row["encoding.name"]:
            names.setdefault(row.tokens, set()).add(one_line(row["encoding.name"]))
    for same in dict.fromkeys(tuple(sorted(found)) for found in names.values() if len(found) > 1):
        yield f"The encodings {', '.join(same)} give identical token ids: to this model they are one."


def _remarks(blocks: list[Block], duplicates: int) -> Iterator[str]:
    if len(blocks) > 1:
        yield "Rows of different blocks do not compare: data, scored examples, labels or protocol differ."
    if duplicates:
        yield f"Points dropped because they were the same as another: {duplicates}."
