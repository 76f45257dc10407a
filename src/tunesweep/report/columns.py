"""The columns of a comparison: what is measured, what it costs, and every setting in which rows differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import floor, log10
from typing import Any

from tunesweep.errors import require
from tunesweep.report.factors import factors, groups, header, surrounding
from tunesweep.report.fields import one_line
from tunesweep.report.rows import Row

DASH = "–"
PROBED, ABOUT = ("minutes_per_epoch", "training_minutes", "tokens_per_s", "memory_bytes"), "~"


@dataclass(frozen=True)
class Column:
    """A column: what it is called, in a terminal too, and how a value is shown."""

    key: str
    header: str
    show: Callable[[Any], str] = str
    short: str = ""
    numeric: bool = True

    def cell(self, row: Row) -> str:
        """Return the text of a cell; a missing number is a dash, and a probed cost is marked."""
        value = row[self.key]
        mark = ABOUT if row["probed"] and self.key in PROBED else ""
        return DASH if value is None else mark + self.show(value)


def significant(value: float, digits: int = 3) -> str:
    """Write a number to some significant digits, without an exponent."""
    places = digits - 1 - floor(log10(abs(value))) if value else 0
    return f"{value:,.{max(0, places)}f}"


def count(value: float) -> str:
    """Write a number of parameters: exactly below a million."""
    for size, unit in ((1e9, " B"), (1e6, " M")):
        if value >= size:
            return f"{significant(value / size)}{unit}"
    return f"{value:,.0f}"


def size(value: float) -> str:
    """Write a number of bytes in powers of a thousand."""
    for power, unit in ((4, "TB"), (3, "GB"), (2, "MB"), (1, "kB")):
        if abs(value) >= 1000**power:
            return f"{significant(value / 1000**power)} {unit}"
    return f"{value:.0f} B"


def score_text(value: float) -> str:
    """Write shares to three decimals, and perplexities, which are above one, to two."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) > 1 else f"{value:.3f}"


def _interval(value: tuple[float, float]) -> str:
    return f"{score_text(value[0])}–{score_text(value[1])}"


def _plain(value: Any) -> str:
    # A prompt may hold a line break, and a cell none.
    return f"{value:g}" if isinstance(value, float) else one_line(str(value).replace("\n", "\\n"))


SETTINGS = (
    Column("model", "model", numeric=False),
    Column("method", "method", numeric=False),
    Column("r", "r", _plain),
    Column("alpha", "alpha", _plain),
    Column("lr", "lr", "{:g}".format),
)
COLUMN_OF = {"lora.r": "r", "lora.alpha": "alpha", "train.lr": "lr"}
# What an encoding comes to after the tokenizer, where encodings are compared.
READ = (
    Column("tokens", "tokens", "{:.0f}".format),
    Column("truncated", "cut", "{:.2f}".format),
    Column("kept", "pixels kept", "{:.2f}".format, "pixels\nkept"),
)
# The accuracy of the nearest neighbour, beside it where a record has it: what a poor model can be blamed for.
NEAREST = (
    Column("pixel_accuracy", "1-NN on pixels", "{:.3f}".format, "1-NN\npixels"),
    Column("kept_accuracy", "1-NN on what is kept", "{:.3f}".format, "1-NN\nkept"),
)
COSTS = (
    Column("adapter", "trainable (adapter)", count, "adapter"),
    Column("head", "trainable (head)", count, "head"),
    Column("share", "trainable %", significant, "train\n%"),
    Column("minutes_per_epoch", "min/epoch", significant, "min/\nepoch"),
)
# What several seeds say, and which rows can be told apart: shown where rows have them.
SEEDED = (
    Column("spread", "± seeds", "{:.3g}".format, "±\nseeds"),
    Column("seeds", "seeds", count),
)
# Where settings were tuned: among how many trials a row was chosen.
TUNED = (Column("trials", "trials", count),)
JUDGED = (
    Column("tied", "tied", numeric=False),
    Column("best", "P(best)", "{:.2f}".format),
)
INTERVAL = Column("interval", "95 % interval (examples)", _interval, "95 %\nexamples")
OVER_SEEDS = Column("interval", "95 % interval (seeds, examples)", _interval, "95 %\nboth")
RESULTS = (
    INTERVAL,
    Column("before", "before training", score_text, "before"),
    Column("memory_bytes", "memory", size),
    Column("disk_bytes", "on disk", size),
    Column("executor", "executor", numeric=False),
    Column("outcome", "status", numeric=False),
)
# Shown where rows have them.
MEASURED = (
    Column("on_select", "on select", score_text, "on\nselect"),
    Column("unreadable", "unreadable", count),
    Column("order_consistency", "order consistency", "{:.3f}".format, "order\nkept"),
    Column("position_bias", "position bias", "{:+.3f}".format, "position\nbias"),
    Column("word_perplexity", "word perplexity", score_text, "word\npplx"),
    Column("bits_per_byte", "bits per byte", "{:.3f}".format, "bits/\nbyte"),
    Column("bleu", "BLEU", "{:.2f}".format),
    Column("chrf", "chrF", "{:.2f}".format),
    Column("rouge_l", "ROUGE-L", "{:.3f}".format),
    Column("token_f1", "token F1", "{:.3f}".format),
    Column("exact_match", "exact match", "{:.3f}".format, "exact"),
    Column("numeric_match", "numeric match", "{:.3f}".format, "numeric"),
    Column("errors_off", "errors before", count),
    Column("errors", "errors on trained classes", count, "errors"),
    Column("others_off", "other classes before", "{:.3f}".format),
    Column("others", "other classes", "{:.3f}".format),
    Column("overall_off", "overall before", "{:.3f}".format),
    Column("false_positives_off", "false positives before", count),
    Column("false_positives", "false positives", count),
)
# Shown where an experiment asks for them (`report.columns`).
ON_REQUEST = (
    Column("label", "approach", numeric=False),
    Column("family", "family", numeric=False),
    Column("training_minutes", "training minutes", significant, "train\nmin"),
    Column("macro_f1", "macro F1", "{:.3f}".format),
    Column("balanced_accuracy", "balanced accuracy", "{:.3f}".format),
    Column("log_loss", "log loss", "{:.3f}".format),
    Column("calibration_error", "calibration error", "{:.3f}".format),
    Column("byte_perplexity", "byte perplexity", score_text),
    Column("merge_change", "change by merging", "{:+.3f}".format, "merged"),
    Column("peak_memory_bytes", "peak memory", size),
    Column("trainable", "trainable", count),
    Column("total", "parameters", count),
    Column("base_share", "% of the base", significant, "% of\nbase"),
    Column("tokens_per_s", "tokens/s", significant),
    Column("minutes", "minutes in all", significant, "min\nin all"),
    Column("predicted_minutes", "minutes predicted", significant, "min\npredicted"),
    Column("predicted_memory_bytes", "memory predicted", size, "memory\npredicted"),
    Column("predicted_peak_memory_bytes", "peak memory predicted", size, "peak\npredicted"),
)


def columns(rows: list[Row], wanted: Sequence[str] = (), tuned: Sequence[str] = ()) -> list[Column]:
    """Return the columns of a block, and every setting in which its rows differ.

    An experiment names its own by `wanted`, in their order; scores that no row of the block has are left out,
    and how each row ended is always said. Settings that were tuned (`tuned`) always are too.
    """
    metric = next((str(row["metric"]) for row in rows if row["metric"]), "score")
    score = Column("score", metric, score_text, metric.replace("_", "_\n"))
    measured, seen = _had(MEASURED, rows), (*READ, *NEAREST)
    known = {c.key: c for c in (*SETTINGS, *COSTS, score, *MEASURED, *RESULTS, *seen, *ON_REQUEST)}
    before, after = [*SETTINGS], [*COSTS, score, *measured, *RESULTS]
    if wanted:
        check_columns(wanted)
        own = [known[key] for key in wanted if known[key] not in MEASURED or known[key] in measured]
        before = [column for column in own if column in SETTINGS or column.key in ("label", "family")]
        ended = known["outcome"]
        after = [column for column in own if column not in (*before, *seen, ended)] + [ended]
    shown = {column.key for column in before}
    extra = [key for key in tuned if COLUMN_OF.get(key) not in shown]
    keys = list(dict.fromkeys([*factors(rows), *extra]))
    headers = {column.header for column in (*before, *after)} | groups(rows)
    varied = [Column(key, header(key, keys, headers), _plain, numeric=_numeric(rows, key)) for key in keys]
    around = [Column(key, key, numeric=_numeric(rows, key)) for key in surrounding(rows)]
    read = [*READ, *_had(NEAREST, rows)] if "encoding.name" in keys else [c for c in seen if c.key in wanted]
    return [*before, *varied, *around, *read, *_with_judgement(after, rows)]


def _had(some: Sequence[Column], rows: list[Row]) -> list[Column]:
    """Return the columns that any row has."""
    return [column for column in some if any(row[column.key] is not None for row in rows)]


def _with_judgement(columns: list[Column], rows: list[Row]) -> list[Column]:
    """Add, next to the score and its interval, what several seeds and the comparison of rows say."""
    tuned, seeded, judged = (_had(some, rows) for some in (TUNED, SEEDED, JUDGED))
    keys = [column.key for column in columns]
    shown = [OVER_SEEDS if column is INTERVAL and seeded else column for column in columns]
    place = keys.index("score") + 1 if "score" in keys else len(keys) - 1
    end = keys.index("interval") + 1 if "interval" in keys else place
    return [*shown[:place], *tuned, *seeded, *shown[place:end], *judged, *shown[end:]]


def _numeric(rows: list[Row], key: str) -> bool:
    return all(isinstance(row[key], int | float) for row in rows if row[key] is not None)


def check_columns(wanted: Sequence[str]) -> None:
    """Refuse a name in `report.columns` that is no column."""
    for name in wanted:
        require(name, column_names(), "report.columns")


def column_names() -> list[str]:
    """Return what an experiment can name in `report.columns`."""
    return ["score", *(c.key for c in (*SETTINGS, *READ, *NEAREST, *COSTS, *MEASURED, *RESULTS, *ON_REQUEST))]
