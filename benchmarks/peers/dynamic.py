"""The same adapters by transformers' Trainer and PEFT at their best: one process for all points, texts
padded to the longest of their batch and grouped by length, bf16 autocast where the machine has
it, eager attention (the fastest for texts this short on a CPU), no dropout, large batches where nothing is
learned.

    python benchmarks/peers/dynamic.py --data FOLDER --model FOLDER --points lora:4,lora:8,qlora:8

Prints one line of JSON a point, as padded.py does. May be made faster, never slower.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from typing import Any

import torch
from by_hand import QUERY_VALUE, accuracy, adapted
from datasets import DatasetDict, load_dataset
from transformers import (
    AutoConfig,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    set_seed,
)

DROPOUT = ("hidden_dropout_prob", "attention_probs_dropout_prob", "attention_dropout")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--points", default="lora:8", help="METHOD:RANK, separated by commas")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--epochs", type=float, default=2)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--labels", type=int, default=2)
    parser.add_argument("--targets", default=",".join(QUERY_VALUE))
    parser.add_argument("--precision", choices=("bf16", "fp32"), default="bf16")
    given = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(given.model)
    with tempfile.TemporaryDirectory() as folder:
        data = tokenized(given.data, tokenizer, folder)
        for point in given.points.split(","):
            method, rank = point.split(":")
            set_seed(0)
            model = built(given, method, int(rank))
            model.config.pad_token_id = tokenizer.pad_token_id
            print(json.dumps(train(given, model, data, tokenizer, folder)), flush=True)


def built(given: argparse.Namespace, method: str, rank: int) -> Any:
    known = AutoConfig.from_pretrained(given.model).to_dict()
    settings: dict[str, Any] = {name: 0.0 for name in DROPOUT if name in known}
    if given.precision == "fp32":
        settings |= {"dtype": torch.float32, "compute": torch.float32}
    settings |= {"labels": given.labels, "targets": tuple(given.targets.split(","))}
    return adapted(given.model, method, rank, attn_implementation="eager", **settings)


def tokenized(folder: str, tokenizer: Any, cache: str) -> DatasetDict:
    files = {split: f"{folder}/{split}.csv" for split in ("train", "select", "test")}
    data = load_dataset("csv", data_files=files, cache_dir=cache)
    return data.map(
        lambda rows: tokenizer(rows["text"], truncation=True, max_length=128, return_length=True),
        batched=True,
        remove_columns=["text"],
    )


def train(
    given: argparse.Namespace, model: Any, data: DatasetDict, tokenizer: Any, folder: str
) -> dict[str, float]:
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=folder,
            learning_rate=given.lr,
            num_train_epochs=given.epochs,
            per_device_train_batch_size=given.batch,
            per_device_eval_batch_size=64,
            weight_decay=0.01,
            warmup_steps=0.06,
            train_sampling_strategy="group_by_length",
            bf16=given.precision == "bf16",
            use_cpu=not torch.cuda.is_available(),
            eval_strategy="epoch",
            save_strategy="epoch",
            save_only_model=True,
            save_total_limit=1,
            load_best_model_at_end=True,
            metric_for_best_model="accuracy",
            logging_strategy="epoch",
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=data["train"],
        eval_dataset=by_length(data["select"]),
        data_collator=DataCollatorWithPadding(tokenizer),
        compute_metrics=accuracy,
    )
    took = trainer.train().metrics["train_runtime"]
    scoring = sum(row.get("eval_runtime", 0.0) for row in trainer.state.log_history)
    scored = trainer.predict(by_length(data["test"]))
    found = {"seconds_training": took, "seconds_scoring": scoring}  # the second is part of the first
    return {"accuracy": scored.metrics["test_accuracy"]} | found


def by_length(rows: Any) -> Any:
    return rows.sort("length")


if __name__ == "__main__":
    main()
