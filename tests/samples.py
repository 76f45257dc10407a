"""A few rows of every task, written into a folder; each returns the words of a command that choose them."""

from __future__ import annotations

import json
from pathlib import Path

NUMBERS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
KINDS = {"good": "fine", "bad": "dull", "mixed": "odd"}


def films(folder: Path, rows: int = 48, classes: tuple[str, ...] = ("good", "bad")) -> tuple[str, ...]:
    """Classification, told by one word; texts of many lengths."""
    names = [classes[i % len(classes)] for i in range(rows)]
    texts = [f"{KINDS[name]} film {i}{' indeed' * (i % 7)}" for i, name in enumerate(names)]
    path = folder / f"films-{len(classes)}.csv"
    path.write_text("\n".join(["text,label", *(f"{t},{n}" for t, n in zip(texts, names, strict=True))]))
    return ("dataset=files", f"dataset.train={path}")


def sums(folder: Path, rows: int = 40) -> tuple[str, ...]:
    """Instructions whose answers have one word to four."""
    path = folder / "sums.jsonl"
    lines = [
        {
            "text": f"{NUMBERS[i % 10]} plus {NUMBERS[i // 10]}{' now' * (i % 5)}",
            "answer": " ".join([NUMBERS[i % 3]] * (1 + i % 4)),
        }
        for i in range(rows)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    task = ("dataset=files", "dataset.task=instruction", "encoding=instruction", "readout=generate")
    return (*task, f"dataset.train={path}", "readout.max_new_tokens=4")


def counting(folder: Path, words: int = 107, context: int = 8) -> tuple[str, ...]:
    """Running text in three splits; each word is a token."""
    places = {split: folder / f"{split}.txt" for split in ("train", "select", "test")}
    for number, (split, path) in enumerate(places.items()):
        told = [NUMBERS[(i * i + number) % 10] for i in range(words if split == "train" else 21)]
        path.write_text(" ".join(told))
    task = ("dataset=files", "dataset.task=language_modeling", "encoding=blocks", "readout=generate")
    files = (f"dataset.{split}={path}" for split, path in places.items())
    return (*task, "dataset.format=text", f"encoding.max_length={context}", *files)


def answers(folder: Path) -> tuple[str, ...]:
    """Films whose class is written: words of one token and of four."""
    words = "+readout.words={good: a very fine film, bad: dull}"
    return (*films(folder), "readout=generate", "readout.max_new_tokens=4", words)
