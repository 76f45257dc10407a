"""Small files under the names that commands in the documentation use; a user has files of their own."""

from __future__ import annotations

import gzip
import json

ROWS = [f"{word} {place},{star}" for word, star in (("fine", "good"), ("dull", "bad")) for place in range(12)]
CSV = "review,stars\n" + "\n".join(ROWS) + "\n"
FILES: dict[str, str | bytes] = {
    "mine.csv": CSV,
    "more.csv": CSV,
    "mine.csv.gz": gzip.compress(CSV.encode()),
    "excel.csv": CSV.replace("review,stars", "Text 1 (de),grade")
    .replace("fine", "schön")
    .replace(",good", ";1")
    .replace(",bad", ";0")
    .replace("Text 1 (de),", "Text 1 (de);")
    .encode("latin-1"),
    "binary.csv": "review,good\n" + "".join(f"text {n},{n % 2}\n" for n in range(24)),
    "latin.csv": CSV.replace("fine", "élégant").encode("latin-1"),
    "ratings.csv": "review,stars\n" + "".join(f"text {n},{(1, 2, 3, 5)[n % 4]}\n" for n in range(40)),
    "grouped.csv": "review,stars,film\n" + "".join(f"{row},{n % 6}\n" for n, row in enumerate(ROWS)),
    "mine.txt": CSV.replace(",", "\t"),
    "mine.tsv": "".join(f'{row.split(",")[1]}\tsaid "{row.split(",")[0]}"\n' for row in ROWS),
    "mine.jsonl": "".join(
        json.dumps({"review": row.split(",")[0], "stars": row.split(",")[1]}) + "\n" for row in ROWS
    ),
    "mine.label": "".join(f"{row.split(',')[1]}: {row.split(',')[0]}\n" for row in ROWS),
    "trec/train_5500.label": "".join(f"{'AB'[n % 2]}:fine What is {n} \xe9?\n" for n in range(24)).encode(
        "latin-1"
    ),
    "trec/TREC_10.label": "A:fine What is it?\nB:fine Who is it?\n",
    "pairs.jsonl": "".join(
        json.dumps({"premise": row, "hypothesis": "so", "label": row[0]}) + "\n" for row in ROWS
    ),
    "votes.jsonl": "".join(
        json.dumps({"prompt": f"p{n}", "a": f"one {n}", "b": f"two {n}", "winner": ("a", "b", "tie")[n % 3]})
        + "\n"
        for n in range(30)
    ),
    "told.csv": "prompt,answer\n" + "".join(f"add {n},{n + 1}\n" for n in range(20)),
    "book.txt": "".join(f"Line {n} of a book.\n" for n in range(40)),
    "sides.csv": "review,stars,held_out\n"
    + "".join(f"{row},{('no', 'no', 'yes')[n % 3]}\n" for n, row in enumerate(ROWS)),
}
