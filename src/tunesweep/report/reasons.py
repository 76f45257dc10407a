"""A recommendation in sentences, and as plain values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tunesweep.report.columns import count, score_text, significant, size
from tunesweep.report.factors import costs
from tunesweep.report.recommend import HARDLY, MEASURES, Recommendation, few_seeds, lacks_seeds, spent
from tunesweep.report.table import few_steps
from tunesweep.stats.cells import FEWEST

LISTED = 5  # rows named in a sentence


def sentences(found: Recommendation) -> list[str]:
    """Return the advice for a block, why, what it cost to know, and what to run next."""
    if found.advice is None:
        return [*_nothing(found), *_unfit(found), _cost(found)]
    return [
        *_unlearned(found),
        *(_taken(found) if found.advice.decided else _undecided(found)),
        *few_steps([found.block.rows[place] for place in found.fitting]),
        *_others(found),
        *_unfit(found),
        *costs([found.block.rows[place] for place in found.fitting]),
        *_of_runs(found),
        _cost(found),
        *([] if _failed_to_learn(found) else [_runs(found), *_next(found)]),
    ]


def _taken(found: Recommendation) -> Iterator[str]:
    assert found.advice is not None
    assert found.place is not None
    place, best = found.place, found.best
    take = "Take none yet. First comes" if _failed_to_learn(found) else "Take"
    yield f"{take} {found.names[place]}: {_figures(found, place)}."
    if len(found.fitting) == 1:
        yield "It is the only row that fits and can be compared."
        return
    sure = (
        f"With probability {_share(found.advice.probability)} it is within {_epsilon(found)} of the best of"
    )
    why = f"and none as sure is cheaper ({_word(found.wish.cheapest)})"
    yield f"{sure} {len(found.fitting)} rows, {why}."
    if best != place:
        yield f"The best score is that of {found.names[best]}: {_figures(found, best)}."


def _undecided(found: Recommendation) -> Iterator[str]:
    assert found.advice is not None
    assert found.place is not None
    asked = f"within {_epsilon(found)} of the best with probability {found.wish.probability:g}"
    yield f"The data cannot decide: no row is {asked}."
    nearest = f"with {_share(found.advice.probability)}: {_figures(found, found.place)}"
    yield f"Nearest comes {found.names[found.place]}, {nearest}."
    options = [
        *([f"about {found.seeds} more seeds a row"] if found.seeds else []),
        *([f"about {found.examples:,} scored examples"] if found.examples else []),
    ]
    if options:
        yield f"If means and spreads stay as they are, {' or '.join(options)} would decide it."
    else:
        yield "Neither seeds nor examples in reach would decide it: ask for a greater --epsilon."


def _unlearned(found: Recommendation) -> Iterator[str]:
    """Say where a row is near the best because nobody has learned much."""
    if _failed_to_learn(found):
        assert found.place is not None
        yield (
            f"{found.names[found.place]} has not learned: it is no better than before training, or than "
            "always saying the same. Before concluding anything, train it longer or at another rate."
        )


def _failed_to_learn(found: Recommendation) -> bool:
    return found.place is not None and found.block.rows[found.place]["learned"] is False


def wants_seeds(found: Recommendation) -> bool:
    """Whether more seeds are what is most worth adding."""
    extra = found.addition
    return (
        found.advice is not None
        and not _failed_to_learn(found)
        and (few_seeds(found) or (extra is not None and extra.seed))
    )


def _others(found: Recommendation) -> Iterator[str]:
    """Name cheaper rows that were passed over, and for want of a decision all that may be it."""
    assert found.advice is not None
    assert found.place is not None
    rows, advice = found.block.rows, found.advice
    chances = dict(zip(found.fitting, advice.chances, strict=True))
    other = [place for place in found.fitting if place != found.place]
    if advice.decided:
        limit = found.wish.cost(rows[found.place])
        shown, head = (
            [place for place in other if found.wish.cost(rows[place]) < limit],
            "Cheaper, but less sure",
        )
    else:
        shown, head = [place for place in other if chances[place] >= HARDLY], "Others"
    shown = sorted(shown, key=lambda place: -chances[place])
    if shown:
        listed = ", ".join(f"{found.names[place]} ({_share(chances[place])})" for place in shown[:LISTED])
        rest = f" and {len(shown) - LISTED} more" if len(shown) > LISTED else ""
        yield f"{head}: {listed}{rest}."


def _nothing(found: Recommendation) -> Iterator[str]:
    if found.compared:
        yield "No row that can be compared fits the budgets."
    else:
        yield "Nothing can be advised: no row has readable predictions of several examples."


def _unfit(found: Recommendation) -> Iterator[str]:
    """Say which rows were left out."""
    rows, left = found.block.rows, [place for place in found.compared if place not in found.fitting]
    if left:
        why = ", ".join(f"{found.names[place]} ({_excess(found, place)})" for place in left[:LISTED])
        rest = f" and {len(left) - LISTED} more" if len(left) > LISTED else ""
        yield f"Beyond the budgets: {why}{rest}."
    absent = [found.names[place] for place in range(len(rows)) if place not in found.compared]
    if absent:
        reason = f"a result, readable predictions or, beside others with them, {FEWEST} seeds"
        rest = f" and {len(absent) - LISTED} more" if len(absent) > LISTED else ""
        yield f"Not compared, as they lack {reason}: {', '.join(absent[:LISTED])}{rest}."


def _excess(found: Recommendation, place: int) -> str:
    row = found.block.rows[place]
    name = found.wish.excess(row) or ""
    return _amount(name, row[MEASURES[name][0]])


def _runs(found: Recommendation) -> str:
    """Return by which ids other commands know the row that is named first."""
    assert found.place is not None
    row = found.block.rows[found.place]
    ids = [str(run["run_id"]) for run in row.runs or (row,) if run["score"] is not None]
    return f"Its run{'s' if len(ids) > 1 else ''}, for `tunesweep predict` or `export`: {', '.join(ids)}."


def _of_runs(found: Recommendation) -> Iterator[str]:
    if few_seeds(found):
        yield (
            f"All this is of these runs as they were trained: with fewer than {FEWEST} seeds a row, "
            "how far another seed would move them is not known."
        )


def _cost(found: Recommendation) -> str:
    runs = [run for run in found.block.runs if spent(run) is not None]
    return f"What it cost to know: {significant(found.minutes)} minutes in {len(runs)} runs."


def _next(found: Recommendation) -> Iterator[str]:
    """Say which run is most worth adding."""
    extra = found.addition
    if few_seeds(found):
        assert found.advice is not None
        chances = zip(found.advice.chances, found.fitting, strict=True)
        few = [(chance, place) for chance, place in chances if lacks_seeds(found.block.rows[place])]
        named = " and ".join(found.names[place] for _, place in sorted(few, reverse=True)[:2])
        yield f"Most worth adding: seeds of {named}, up to {FEWEST} each."
    elif extra is None:
        return
    elif extra.chance < HARDLY and extra.seed and not _decided(found):
        name = found.names[extra.place]
        yield f"Most worth adding: seeds of {name}, of which least is known; one alone hardly decides it."
    elif extra.chance < HARDLY:
        yield "No single run is likely to change this (each by less than 1 %)."
    else:
        what = "one more seed of" if extra.seed else "a result of"
        changes = f"it would change this with probability {_share(extra.chance)}"
        yield f"Most worth adding: {what} {found.names[extra.place]}; {changes}."


def _decided(found: Recommendation) -> bool:
    return found.advice is not None and found.advice.decided


def _figures(found: Recommendation, place: int) -> str:
    """Return score and costs of a row."""
    row = found.block.rows[place]
    parts = [_amount(name, row[column]) for name, (column, _) in MEASURES.items() if row[column] is not None]
    trials = [f"chosen on select from {row['trials']} trials"] if (row["trials"] or 0) > 1 else []
    return ", ".join([f"{row['metric']} {score_text(row['score'])}", *parts, *trials])


def _amount(name: str, value: float | None) -> str:
    if value is None:
        return f"{_word(name)} not known"
    if name == "minutes":
        return f"{significant(value)} minutes"
    return f"{count(value)} trainable" if name == "trainable" else f"{_word(name)} {size(value)}"


def _word(name: str) -> str:
    words = {"disk": "on disk", "peak_memory": "peak memory", "trainable": "trainable parameters"}
    return words.get(name, name)


def _epsilon(found: Recommendation) -> str:
    lower = found.block.rows[found.fitting[0]]["metric"] == "perplexity"
    return f"{100 * found.wish.epsilon:g} %" if lower else f"{found.wish.epsilon:g}"


def _share(chance: float) -> str:
    """Write a probability without claiming what so many draws cannot show."""
    return "more than 0.99" if chance > 0.99 else "less than 0.01" if chance < 0.01 else f"{chance:.2f}"


def facts(found: Recommendation) -> dict[str, Any]:
    """Return the advice as plain values."""
    chances = {} if found.advice is None else dict(zip(found.fitting, found.advice.chances, strict=True))
    rows = found.block.rows
    advised = None if found.place is None else found.names[found.place]
    extra = found.addition
    return {
        "block": found.block.title,
        "question": "methods" if found.methods else "runs",
        "decided": _decided(found),
        "row": advised,
        "probability": None if found.advice is None else found.advice.probability,
        "asked": {"epsilon": found.wish.epsilon, "probability": found.wish.probability}
        | {"cheapest": found.wish.cheapest, "budgets": dict(found.wish.limits)},
        "rows": [
            {
                "row": found.names[place],
                "runs": [run["run_id"] for run in (row.runs or (row,))],
                "score": row["score"],
                "learned": row["learned"],
                "fits": place in found.fitting,
                "probability": chances.get(place),
                **{name: row[column] for name, (column, _) in MEASURES.items()},
            }
            for place, row in enumerate(rows)
        ],
        "known_from": {"runs": len(found.block.runs), "minutes": found.minutes},
        "most_worth_adding": extra
        and {"row": found.names[extra.place], "seed": extra.seed, "changes": extra.chance},
        "would_decide": {"more_seeds": found.seeds, "examples": found.examples},
        "sentences": sentences(found),
    }
