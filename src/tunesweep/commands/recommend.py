"""`tunesweep recommend`: which configuration is enough, and what to run next."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from tunesweep.commands.shared import MULTIRUN, JsonOption, StoreOption, one_sentence
from tunesweep.errors import BadConfig

if TYPE_CHECKING:
    from tunesweep.report.recommend import Recommendation
    from tunesweep.store import Store

POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)b?", re.IGNORECASE)


def recommend(
    *,
    minutes: Annotated[float | None, typer.Option(help="Most minutes that a run may take in all.")] = None,
    memory: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Most memory above the loaded model, as 2GB.")
    ] = None,
    peak_memory: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Most memory in all, the model's own with it.")
    ] = None,
    disk: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Most bytes of what was trained, as 500MB.")
    ] = None,
    epsilon: Annotated[
        float, typer.Option(help="How far behind the best is near enough; of perplexity a share.")
    ] = 0.01,
    probability: Annotated[float, typer.Option(help="How sure that must be.")] = 0.9,
    cheapest: Annotated[
        str, typer.Option(help="By what rows are cheap: minutes, memory, peak_memory, disk or trainable.")
    ] = "minutes",
    sweep: Annotated[str | None, typer.Option(help="Id of a sweep; the last one if absent.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every run of the store.")] = False,
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="Rows of which it holds: method=lora,qlora."),
    ] = None,
    store: StoreOption = MULTIRUN,
    as_json: JsonOption = False,
) -> None:
    """Say which configuration is enough within budgets, how sure that is, and what to run next."""
    with one_sentence():
        sizes = {"memory": memory, "peak_memory": peak_memory, "disk": disk}
        limits = {name: size_of(text, name) for name, text in sizes.items() if text is not None}
        limits |= {} if minutes is None else {"minutes": minutes}
        from tunesweep.report.recommend import Wish
        from tunesweep.report.recommend import recommend as recommended
        from tunesweep.report.rows import Scope
        from tunesweep.store import Store

        wish = Wish(limits, cheapest, epsilon, probability)
        found = recommended(Store(store), Scope(sweep, everything, tuple(where or ())), wish)
        from tunesweep.report.reasons import facts, sentences, wants_seeds

        if as_json:
            typer.echo(json.dumps([facts(each) for each in found], indent=1))
            return
        for each in found:
            typer.echo("\n".join([each.block.title, *(f"  {line}" for line in sentences(each)), ""]))
        if not everything and any(map(wants_seeds, found)):
            typer.echo(f"More seeds of every row: {_more_seeds(Store(store), sweep, found)}")


def _more_seeds(store: Store, sweep: str | None, found: Sequence[Recommendation]) -> str:
    """Return the command that adds seeds to a sweep: up to three, or one where there are as many."""
    from tunesweep.report.rows import find_sweep, program
    from tunesweep.stats.cells import FEWEST

    runs = [run for each in found for run in each.block.runs]
    known = {run["seed"] for run in runs if isinstance(run["seed"], int)}
    whole = ["runtime.early_exit=null"] if any(run["status"] == "stopped" for run in runs) else []
    first = max(known, default=-1) + 1
    new = range(first, first + max(1, FEWEST - len(known)))
    words = [program(), "extend", find_sweep(store, sweep)[0], f"seed={','.join(map(str, new))}", *whole]
    return shlex.join([*words, *([] if str(store.root) == "multirun" else ["--store", str(store.root)])])


def size_of(text: str, name: str) -> float:
    """Return a number of bytes written as 2GB, in powers of a thousand as tables have them."""
    if not (found := SIZE.fullmatch(text.strip())):
        option = f"--{name.replace('_', '-')}"
        raise BadConfig(f"{option} {text} is no size: write a number with kB, MB, GB or TB, as 500MB")
    return float(found[1]) * float(1000 ** POWERS[found[2].lower()])
