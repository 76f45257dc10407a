"""The lines that load an exported artefact without this project, one example at a time."""

from __future__ import annotations

from dataclasses import dataclass, field

from tunesweep.config import RunConfig
from tunesweep.data import prompts
from tunesweep.data.module import DataModule
from tunesweep.models import prompted
from tunesweep.models.backbone import auto_class, base_dtype

TOKENIZER = "tokenizer = AutoTokenizer.from_pretrained(folder)"
HEAD = [
    "from safetensors.torch import load_file",
    'head = load_file(f"{folder}/head.safetensors")',
    "head = {name: tensor.float() for name, tensor in head.items()}",
]


@dataclass
class Reading:
    """What a run reads and how, as plain values; made from the run's own data module."""

    length: int
    pair: bool = False  # the tokenizer joins two texts
    before: list[int] = field(default_factory=list)  # ids before an example: special tokens, solved examples
    after: list[int] = field(default_factory=list)
    template: str | None = None  # of a prompt; None: the tokenizer reads the text itself
    names: tuple[str, ...] = ("text",)  # the fields of the template
    words: dict[str, list[list[int]]] = field(default_factory=dict)  # class -> token ids of its words


def reading(config: RunConfig, data: DataModule) -> Reading:
    """Return how a run's own data module reads an example."""
    encoding, texts = data.encoding, data.texts
    assert encoding is not None
    assert texts is not None
    length = int(encoding.max_length)
    if config.dataset.task == "language_modeling":
        bos = [data.tokenizer.bos_token_id] if encoding.bos else []
        return Reading(length, before=bos, template="{text}")
    if texts.prompt is None:
        return Reading(length, pair=len(getattr(encoding, "fields", ())) == 2)
    prompt = texts.prompt
    call = prompts.PromptCall(prompt, data.tokenizer, length, "tail")
    words = prompted.word_ids(config, data) if config.readout.name == "label_words" else {}
    template = prompt.template + prompt.after
    return Reading(length, False, call.opening(prompt.before), call.end, template, prompt.names, words)


def lines(config: RunConfig, kind: str, classes: list[str], reading: Reading) -> str:
    """Return Python code: `folder` is the export, `base` the backbone, `texts` the examples.

    It leaves `results`: probabilities of the classes, texts that were written, or losses per token.
    """
    loads = {"merged": _merged, "adapter": _adapter}[kind](config, classes)
    imports = [line for line in loads if line.startswith(("from ", "import "))]
    rest = [line for line in loads if line not in imports]
    return "\n".join([*sorted({"import torch", *imports}), "", *rest, *_asking(config, reading)])


def _from_pretrained(config: RunConfig, place: str, *more: str) -> str:
    return f"{auto_class(config)}.from_pretrained({', '.join([place, *more])})"


def _imports(config: RunConfig, *others: str) -> str:
    return f"from transformers import {', '.join(sorted({auto_class(config), 'AutoTokenizer', *others}))}"


def _merged(config: RunConfig, _: list[str]) -> list[str]:
    found = [_imports(config), TOKENIZER]
    found += [f"model = {_from_pretrained(config, 'folder', 'dtype=torch.float32')}.eval()"]
    if config.readout.name == "linear":
        found += HEAD
    return found


def _adapter(config: RunConfig, classes: list[str]) -> list[str]:
    four_bit = config.method.quantisation is not None
    found = [_imports(config, *(["BitsAndBytesConfig"] if four_bit else [])), TOKENIZER]
    more = [f"dtype={base_dtype(config)}"]
    if auto_class(config).endswith("SequenceClassification"):
        more.append(f"num_labels={len(classes)}")
    if four_bit:
        found += _four_bit(config)
        more.append("quantization_config=four_bit")
    found.append(f"model = {_from_pretrained(config, 'base', *more)}.eval()")
    return found + (_with_safetensors(config) if config.method.peft is None else _with_peft(config))


def _four_bit(config: RunConfig) -> list[str]:
    unread = (
        ["pooler"] if config.readout.name == "linear" else []
    )  # where a file lacks it, it is not quantised
    skipped = [*config.model.head, *unread, "lm_head"]
    return [
        'four_bit = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4",',
        f"    bnb_4bit_use_double_quant=True, llm_int8_skip_modules={skipped})",
    ]


def _with_peft(config: RunConfig) -> list[str]:
    found = ["from peft import PeftModel", "model = PeftModel.from_pretrained(model, folder).eval()"]
    if config.readout.name == "linear":
        found += HEAD
    return found


def _with_safetensors(config: RunConfig) -> list[str]:
    found = [
        "from safetensors.torch import load_file",
        'trained = load_file(f"{folder}/trained.safetensors")',
    ]
    if config.readout.name == "linear":
        found.append('head = {name: trained.pop(f"head.{name}") for name in ("weight", "bias")}')
    found.append('trained = {name.removeprefix("body."): tensor for name, tensor in trained.items()}')
    if config.method.layers is None:
        return [*found, "assert not model.load_state_dict(trained, strict=False).unexpected_keys"]
    return [*found, *_bottleneck(config)]


def _bottleneck(config: RunConfig) -> list[str]:
    """Return the lines that put adapters behind frozen layers: down, activation, up, added to the output."""
    act = str((config.method.layers or {}).get("activation", "relu"))
    return [
        "from torch.nn.functional import linear",
        "def behind(down, down_bias, up, up_bias):",
        f"    act = torch.nn.functional.{act}" if act != "tanh" else "    act = torch.tanh",
        "    inner = lambda out: act(linear(out.float(), down, down_bias))",
        "    return lambda layer, read, out: out + linear(inner(out), up, up_bias)",
        'places = {name.partition(".bottleneck.")[0] for name in trained if ".bottleneck." in name}',
        "for place in places:",
        '    parts = [trained.pop(f"{place}.bottleneck.{part}") for part in'
        ' ("down.weight", "down.bias", "up.weight", "up.bias")]',
        "    model.get_submodule(place).register_forward_hook(behind(*parts))",
        "assert not model.load_state_dict(trained, strict=False).unexpected_keys  # the head",
    ]


def _asking(config: RunConfig, reading: Reading) -> list[str]:
    """Return the loop over the examples."""
    task, readout = config.dataset.task, config.readout.name
    if task == "language_modeling":
        body = LOSS
    elif readout == "generate" or task == "instruction":
        body = _generate(config)
    elif readout == "label_words":
        body = _label_words(config, reading)
    else:
        body = _logits(config)
    bare = config.readout.prompted or task != "classification"
    return [
        *_constants(config, reading),
        "results = []",
        "with torch.inference_mode():",
        "    for text in texts:",
        *(f"        {line}" for line in [*_read_ids(reading, bare), *body]),
    ]


def _constants(config: RunConfig, reading: Reading) -> list[str]:
    found = []
    if reading.template is not None:
        found.append(f"template = {reading.template!r}")
    if config.readout.name == "label_words":
        found.append(f"words = {reading.words}  # token ids")
    if config.readout.name == "generate" or config.dataset.task == "instruction":
        found.append("own = model.generation_config.eos_token_id  # a chat model has more than one end")
        found.append("ends = {*(own if isinstance(own, list) else [own]), tokenizer.eos_token_id} - {None}")
    return found


def _read_ids(reading: Reading, bare: bool) -> list[str]:
    if reading.template is None:
        texts = "*text" if reading.pair else "text"
        return [
            f'read = tokenizer({texts}, truncation=True, max_length={reading.length}, return_tensors="pt")'
        ]
    filled = "template"
    for number, name in enumerate(reading.names):
        value = "text" if len(reading.names) == 1 else f"text[{number}]"
        filled += f".replace({'{' + name + '}'!r}, {value})"
    found = [f"ids = tokenizer({filled}, add_special_tokens=False)['input_ids']"]
    found += [f"ids = {reading.before} + ids + {reading.after}"]
    return found if bare else [*found, 'read = {"input_ids": torch.tensor([ids])}']


def _logits(config: RunConfig) -> list[str]:
    if config.readout.name == "head":
        return ["results.append(model(**read).logits[0].float().softmax(-1))"]
    pooling = config.model.pooling if config.readout.pooling == "auto" else config.readout.pooling
    pooled = {"cls": "[0]", "last": "[-1]", "mean": ".mean(0)"}[pooling]
    count = 'read["input_ids"].shape[1]'
    return [
        f"hidden = model(**read).last_hidden_state[0, -{count}:].float()",
        f'logits = hidden{pooled} @ head["weight"].T + head["bias"]',
        "results.append(logits.softmax(-1))",
    ]


def _label_words(config: RunConfig, reading: Reading) -> list[str]:
    """Return the lines for the likelihood of every class's words, added up over its words."""
    mean = config.readout.normalise == "mean"
    share = "/ len(word)" if mean else ""
    return [
        "logits = []",
        "for tokens in words.values():",
        "    scores = []",
        "    for word in tokens:",
        *(f"        {line}" for line in WORD[config.model.family](reading)),
        f"        scores.append(steps[range(len(word)), word].sum(){' ' if mean else ''}{share})",
        "    logits.append(torch.stack(scores).logsumexp(0))",
        "results.append(torch.stack(logits).softmax(-1))",
    ]


def _causal_word(_: Reading) -> list[str]:
    return [
        "said = model(input_ids=torch.tensor([ids + word])).logits[0].float().log_softmax(-1)",
        "steps = said[-len(word) - 1 : -1]",
    ]


def _seq2seq_word(_: Reading) -> list[str]:
    return [
        "start = [model.config.decoder_start_token_id]",
        "written = torch.tensor([start + word[:-1]])",
        "said = model(input_ids=torch.tensor([ids]), decoder_input_ids=written).logits[0]",
        "steps = said.float().log_softmax(-1)",
    ]


def _masked_word(reading: Reading) -> list[str]:
    """The masks stand before the closing special tokens."""
    closing = len(reading.after)
    return [
        f"end = len(ids) - {closing}",
        "masked = ids[:end] + [tokenizer.mask_token_id] * len(word) + ids[end:]",
        "said = model(input_ids=torch.tensor([masked])).logits[0].float().log_softmax(-1)",
        "steps = said[end : end + len(word)]",
    ]


WORD = {"decoder": _causal_word, "encoder_decoder": _seq2seq_word, "encoder": _masked_word}


def _generate(config: RunConfig) -> list[str]:
    skip = "1" if config.model.family == "encoder_decoder" else "len(ids)"
    return [
        "asked = torch.tensor([ids])",
        "written = model.generate(input_ids=asked, attention_mask=torch.ones_like(asked), do_sample=False,",
        f"    num_beams=1, max_new_tokens={config.readout.max_new_tokens}, eos_token_id=sorted(ends),",
        "    pad_token_id=tokenizer.pad_token_id)",
        f"answer = tokenizer.decode(written[0, {skip}:], skip_special_tokens=True)",
        "results.append(answer.strip())",
    ]


# Of one window; perplexity is the exponential of the mean.
LOSS = ["ids = torch.tensor([ids])", "results.append(float(model(input_ids=ids, labels=ids).loss))"]
