"""The `tunesweep` command: what one asks of finished runs."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from tunesweep import __version__
from tunesweep.commands import care, compare, dashboards, reproduce
from tunesweep.commands.doctor import doctor
from tunesweep.commands.new import new
from tunesweep.commands.recommend import recommend
from tunesweep.commands.shared import MULTIRUN, JsonOption, StoreOption, emit, one_sentence, tell
from tunesweep.commands.watch import watch
from tunesweep.report.rows import Scope
from tunesweep.store import Store

ORDER = (  # as one needs them
    *("plan", "watch", "report", "recommend", "compare", "export", "predict", "folds", "serving"),
    *("verify", "reproduce", "wandb", "extend", "gc", "import", "methods", "new", "doctor"),
)


class Ordered(TyperGroup):
    """Lists the commands in the order of their use."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return every name."""
        return sorted(super().list_commands(ctx), key=ORDER.index)


app = typer.Typer(cls=Ordered, pretty_exceptions_enable=False)

DeviceOption = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Id of a run.")]
WhereOption = Annotated[
    list[str] | None,
    typer.Option(metavar="KEY=VALUE", help="Rows of which it holds: method=lora,qlora or train.epochs=2."),
]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tunesweep {__version__}")
        raise typer.Exit


VersionOption = Annotated[
    bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
]


@app.callback(invoke_without_command=True)
def main(context: typer.Context, version: VersionOption = False) -> None:
    """Ask about finished runs; `python train.py` starts them."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def report(
    *,
    sweep: Annotated[str | None, typer.Option(help="Id of a sweep; the last one if absent.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every run of the store.")] = False,
    where: WhereOption = None,
    store: StoreOption = MULTIRUN,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print all columns as JSON, write nothing.")
    ] = False,
    plots: Annotated[
        bool, typer.Option("--plots", help="Write the pictures too, as PNG and PDF for papers.")
    ] = False,
) -> None:
    """Print the comparison table, and write it as Markdown, CSV, LaTeX and HTML."""
    from tunesweep.report import render

    with one_sentence():
        scope = Scope(sweep, everything, tuple(where or ()))
        if as_json:
            rows = render.raw_rows(render.build(Store(store), scope))
            typer.echo(json.dumps(rows, indent=1))
        else:
            render.report(Store(store), scope, plots=plots)


@app.command()
def verify(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN", help="Ids; with --rescore also exported folders. Last sweep if absent."
        ),
    ] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Every run of the store.")] = False,
    rescore: Annotated[
        bool, typer.Option("--rescore", help="Load the weights, score the test split again, and compare.")
    ] = False,
    store: StoreOption = MULTIRUN,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Check that the files of finished runs are unchanged, or that they still give the recorded results."""
    from tunesweep.verify import verify

    with one_sentence():
        if rescore:
            _rescore(Store(store), runs or [], everything, device, as_json)
            return
        verdict = verify(Store(store), runs or (), everything)
        if as_json:
            emit(asdict(verdict))
        tell(verdict.problems)
        if not as_json:
            typer.echo(f"ok: {verdict.files} files of {verdict.runs} finished runs are as they were written")


def _rescore(store: Store, runs: list[str], everything: bool, device: str, as_json: bool) -> None:
    from tunesweep.serving.again import rescore_all

    said: dict[bool, list[str]] = {True: [], False: []}
    for sentence, is_problem in rescore_all(store, runs, everything, device):
        said[is_problem].append(sentence)
        if not is_problem and not as_json:
            typer.echo(sentence)
    if as_json:
        emit({"holds": said[False], "problems": said[True]})
    tell(said[True])


@app.command()
def export(
    run: RunArgument,
    *,
    what: Annotated[
        str | None, typer.Option(help="adapter, merged or both; all that the method has, if absent.")
    ] = None,
    to: Annotated[Path | None, typer.Option(help="Folder; exports/RUN of the store if absent.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an export that is there.")] = False,
    store: StoreOption = MULTIRUN,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Write a run's adapter, or the whole model it makes in bf16, as Hugging Face has them, with a card."""
    from tunesweep.serving.export import export

    with one_sentence():
        done = export(Store(store), run, what=what, to=to, force=force, device=device)
        if as_json:
            emit(asdict(done))
            return
        for kind, folder in done.folders.items():
            typer.echo(f"{kind}: {folder}")
        for note in [*done.notes, *done.sentences()]:
            typer.echo(note)


@app.command()
def predict(
    run: RunArgument,
    file: Annotated[Path, typer.Argument(help="Examples in the columns of the run's data set, unlabelled.")],
    *,
    out: Annotated[
        Path | None, typer.Option(help="File: .csv, .tsv, .jsonl or .parquet; printed as CSV if absent.")
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="NAME=SOURCE,...", help="As in 'id,label=prediction,p_fresh=p:fresh'; all if absent."
        ),
    ] = None,
    id_column: Annotated[
        str | None, typer.Option("--id", help="Column that names the rows; their numbers from 0 if absent.")
    ] = None,
    store: StoreOption = MULTIRUN,
    device: DeviceOption = "auto",
) -> None:
    """Predict new, unlabelled examples, in the order of the file."""
    from tunesweep.serving import submission

    with one_sentence():
        wanted = submission.parse(columns)
        submission.check_name(out)
        from tunesweep.serving.predict import predict

        found = predict(Store(store), run, file, columns=wanted, id_column=id_column, device=device)
        _write(found, out)


def _write(frame: dict[str, list[Any]], out: Path | None) -> None:
    from tunesweep.serving import submission

    if out is None:
        typer.echo(submission.as_csv(frame), nl=False)
        return
    submission.save(frame, out)
    typer.echo(f"{len(next(iter(frame.values()))):,} rows: {out}")


@app.command()
def folds(
    sweep: Annotated[str | None, typer.Argument(help="Id of a sweep; the last one if absent.")] = None,
    out: Annotated[Path | None, typer.Option(help="File for the joined predictions.")] = None,
    where: WhereOption = None,
    store: StoreOption = MULTIRUN,
    as_json: JsonOption = False,
) -> None:
    """Join the predictions of a cross-validation, one row an example, and print their score."""
    from tunesweep.serving import submission
    from tunesweep.serving.folds import out_of_fold

    with one_sentence():
        submission.check_name(out)
        found = out_of_fold(Store(store), sweep, where or ())
        if out is not None and as_json:
            submission.save(found.frame, out)
        elif out is not None:
            _write(found.frame, out)
        emit(found.score()) if as_json else typer.echo(found.sentence())


@app.command()
def serving(
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="RUN", help="Two adapters of one base or more; the last sweep's if absent."),
    ] = None,
    store: StoreOption = MULTIRUN,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON, write nothing.")] = False,
    device: DeviceOption = "auto",
) -> None:
    """Measure N whole models against one base with N adapters: disk, memory, change of task."""
    from tunesweep.serving import comparison

    with one_sentence():
        found = comparison.compare(Store(store), runs or (), device)
        if as_json:
            typer.echo(found.as_json())
            return
        from tunesweep.report.render import terminal

        terminal().print(comparison.as_table(found))
        typer.echo(f"Written: {comparison.save(found, Store(store))}")


@app.command()
def methods(
    as_json: Annotated[
        bool, typer.Option("--json", help="Every combination, with why it cannot be.")
    ] = False,
    config_dir: Annotated[
        Path | None, typer.Option(help="Folder with a folder method/ of one's own.")
    ] = None,
) -> None:
    """Print which method goes with which kind of model and readout, what it keeps and whether it merges."""
    from tunesweep.commands.methods import show

    with one_sentence():
        typer.echo(show(as_json, config_dir))


app.command()(care.gc)
app.command("import")(care.import_)
app.command()(care.extend)
app.command()(recommend)
app.command()(reproduce.reproduce)
app.command()(compare.compare)
app.command("wandb")(dashboards.upload)
app.command()(watch)
app.command()(doctor)
app.command()(new)


@app.command(context_settings={"ignore_unknown_options": True})
def plan(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="OVERRIDE", help="As for train.py: method=lora,full lora.r=4,8."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a command of train.py would do: points, memory, minutes, bytes; nothing is carried out."""
    from tunesweep.commands.plan import plan

    with one_sentence():
        plan(words or (), as_json)
