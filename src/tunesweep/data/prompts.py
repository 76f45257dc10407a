"""What a model reads of an example: a template filled with fields, tokenised as one text, cut by fields."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from tunesweep.data.cutting import fit
from tunesweep.errors import BadConfig

PLACE = "\x00"  # stands for the content while a chat template is rendered
Fields = str | tuple[str, ...]


@dataclass(frozen=True)
class Prompt:
    """A template over field names between two fixed texts; `before` may be read once for all examples."""

    template: str
    names: tuple[str, ...]
    before: str = ""
    after: str = ""
    chat: bool = False  # the fixed texts hold the special tokens already
    shots: int = 0  # solved examples in `before`

    def content(self, fields: Fields) -> tuple[str, list[tuple[int, int, int]]]:
        """Return the filled template, and where each field stands in it: (number, start, end)."""
        values = dict(zip(self.names, (fields,) if isinstance(fields, str) else fields, strict=True))
        text, spans = "", []
        places = "|".join(re.escape(f"{{{name}}}") for name in self.names)
        for part in re.split(f"({places})", self.template):
            name = part[1:-1]
            if part.startswith("{") and name in values:
                spans.append((self.names.index(name), len(text), len(text) + len(values[name])))
                text += values[name]
            else:
                text += part
        return text, spans

    def shown(self, fields: Fields) -> str:
        """Return all that the model reads of an example as text."""
        return self.before + self.content(fields)[0] + self.after


def template(prompt: str | None, encoding: Any) -> tuple[str, tuple[str, ...]]:
    """Return a readout's prompt with the encoding's own template in the place of {text}, and its fields."""
    own = getattr(encoding, "template", "{text}")
    names = tuple(getattr(encoding, "fields", ("text",)))
    if prompt is None:
        return own, names
    if "{text_pair}" in prompt and "text_pair" not in names:
        raise BadConfig(
            f"readout.prompt={prompt!r} names {{text_pair}}, and encoding={encoding.name} reads no second "
            "text: drop it, or set encoding=pair"
        )
    if any("{" + name + "}" in prompt for name in names[1:]):
        return prompt.replace("{text}", "{" + names[0] + "}"), names
    return prompt.replace("{text}", own), names


def in_chat(prompt: Prompt, tokenizer: Any, turns: Sequence[tuple[str, str]]) -> Prompt:
    """Return a prompt as the last user turn of the tokenizer's chat template, after solved examples."""
    if not getattr(tokenizer, "chat_template", None):
        raise BadConfig(
            "readout.chat=true, or encoding.chat, needs a chat template, and this tokenizer has none"
        )
    messages = [
        message
        for question, answer in turns
        for message in ({"role": "user", "content": question}, {"role": "assistant", "content": answer})
    ]
    messages.append({"role": "user", "content": PLACE})
    whole = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    before, _, after = whole.rpartition(PLACE)
    return replace(prompt, before=before, after=after, chat=True, shots=len(turns))


def after_shots(prompt: Prompt, turns: Sequence[tuple[str, str]]) -> Prompt:
    """Return a prompt that stands after solved examples in plain text."""
    solved = "".join(f"{question}{answer}\n\n" for question, answer in turns)
    return replace(prompt, before=solved, shots=len(turns))


def leading_space(prompt: Prompt) -> str:
    """Return what stands between a prompt and its answer: nothing after white space, a field or in a chat."""
    end = prompt.after or prompt.template
    return "" if prompt.chat or not end or end[-1].isspace() or end.endswith("}") else " "


def continuations(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Return the ids of texts as they are in the middle of a text, special tokens not added.

    At its beginning some tokenizers (Llama 2's) would write a space of their own before it.
    """
    befores = [":" if text.startswith(" ") else "\n" for text in texts]
    bare = dict(zip(":\n", _ids(tokenizer, ":\n"), strict=True))
    alone = _ids(tokenizer, texts)
    whole = _ids(tokenizer, [before + text for before, text in zip(befores, texts, strict=True)])
    starts = [bare[before] for before in befores]
    return [
        ids[len(start) :] if ids[: len(start)] == start else own
        for start, ids, own in zip(starts, whole, alone, strict=True)
    ]


def _ids(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    return [list(ids) for ids in tokenizer(list(texts), add_special_tokens=False)["input_ids"]]


def specials(tokenizer: Any) -> tuple[list[int], list[int]]:
    """Return the special tokens that a tokenizer puts before and after a text."""
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    whole = tokenizer("a")["input_ids"]
    start = next(i for i in range(len(whole) - len(bare) + 1) if whole[i : i + len(bare)] == bare)
    return whole[:start], whole[start + len(bare) :]


class PromptCall:
    """Fields to ids: everything but the fields is kept, whatever the length."""

    def __init__(self, prompt: Prompt, tokenizer: Any, length: int, cut: str) -> None:
        """`length` is an example's own: solved ones before it come on top."""
        self.prompt, self.tokenizer, self.length, self.cut = prompt, tokenizer, length, cut
        self.begin, self.end = ([], []) if prompt.chat else specials(tokenizer)

    def opening(self, before: str) -> list[int]:
        """Return the ids of what stands before an example."""
        return [*self.begin, *self.tokenizer(before, add_special_tokens=False)["input_ids"]]

    def __call__(self, rows: Sequence[Fields], befores: Sequence[str] | None = None) -> dict[str, list[Any]]:
        """Return input_ids, length and truncated of some examples.

        With a `before` for each, it stands in front. The prompt's own does so as well, unless it holds
        solved examples: a readout reads those once, for all.
        """
        found = [self.prompt.content(fields) for fields in rows]
        texts = [text + self.prompt.after for text, _ in found]
        batch = self.tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        fixed = [] if self.prompt.shots else self.opening(self.prompt.before)
        columns: dict[str, list[Any]] = {"input_ids": [], "truncated": []}
        for number, (ids, offsets) in enumerate(
            zip(batch["input_ids"], batch["offset_mapping"], strict=True)
        ):
            fields = positions(texts[number], offsets, found[number][1])
            kept = within(ids, fields, self.length, self.cut, beside=len(fixed) + len(self.end))
            opening = fixed if befores is None else self.opening(befores[number])
            columns["input_ids"].append([*opening, *kept, *self.end] or [self.tokenizer.pad_token_id])
            columns["truncated"].append(len(kept) < len(ids))
        columns["length"] = [len(ids) for ids in columns["input_ids"]]
        return columns


def positions(
    text: str, offsets: Sequence[tuple[int, int]], spans: Sequence[tuple[int, int, int]]
) -> list[list[int]]:
    """Return, per field, the places of its tokens.

    A token belongs where its last letter does, unless it holds more than white space of what stands before.
    """
    return [
        [
            place
            for place, (begin, stop) in enumerate(offsets)
            if begin < stop and start < stop <= end and not text[begin:start].strip()
        ]
        for _, start, end in spans
    ]


def within(
    ids: Sequence[int], fields: Sequence[Sequence[int]], length: int, cut: str, beside: int = 0
) -> list[int]:
    """Return ids of which fields, given as places, were cut until all fits, `beside` others included."""
    room = length - beside
    if len(ids) <= room:
        return list(ids)
    movable = {place for field in fields for place in field}
    always = len(ids) - len(movable)
    if room <= always:
        raise BadConfig(
            f"encoding.max_length={length} leaves no room for a text beside {always + beside} tokens that "
            "are always there: make it longer, or shorten the prompt"
        )
    kept = {place for field in fit(fields, room - always, cut) for place in field}
    return [token for place, token in enumerate(ids) if place in kept or place not in movable]
