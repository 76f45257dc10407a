"""One adapter by transformers' Trainer and PEFT as their documentation shows it, as studies by hand do:

a process for each point, every text padded to the maximum, scored after each epoch and on test at the end.

    python benchmarks/peers/padded.py --data FOLDER --model FOLDER --method lora --r 8

FOLDER of data holds train.csv, select.csv and test.csv with the columns text and label (0 or 1). Prints one
line of JSON: accuracy on test, seconds of training. Knows nothing of tunesweep.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from typing import Any

import torch
from by_hand import accuracy, adapted
from datasets import load_dataset
from transformers import (
    AutoTokenizer,
    Trainer,
    TrainingArguments,
)

COMPUTE = {"bf16": torch.bfloat16, "fp32": torch.float32}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--method", choices=("lora", "qlora"), default="lora")
    parser.add_argument("--r", type=int, default=8)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--epochs", type=float, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--precision", choices=("bf16", "fp32"), default="bf16")
    print(json.dumps(train(parser.parse_args())))


def train(given: argparse.Namespace) -> dict[str, float]:
    tokenizer = AutoTokenizer.from_pretrained(given.model)
    files = {split: f"{given.data}/{split}.csv" for split in ("train", "select", "test")}

    def tokenize(rows: dict[str, Any]) -> Any:
        return tokenizer(rows["text"], padding="max_length", truncation=True, max_length=128)

    with tempfile.TemporaryDirectory() as folder:
        data = load_dataset("csv", data_files=files, cache_dir=folder).map(tokenize, batched=True)
        arguments = TrainingArguments(
            output_dir=folder,
            learning_rate=given.lr,
            num_train_epochs=given.epochs,
            per_device_train_batch_size=32,
            per_device_eval_batch_size=32,
            weight_decay=0.01,
            warmup_steps=0.06,
            bf16=given.precision == "bf16",
            use_cpu=not torch.cuda.is_available(),
            eval_strategy="epoch",
            save_strategy="epoch",
            load_best_model_at_end=True,
            metric_for_best_model="accuracy",
            report_to="none",
            disable_tqdm=True,
            seed=given.seed,
        )
        trainer = Trainer(
            model=adapted(given.model, given.method, given.r, compute=COMPUTE[given.precision]),
            args=arguments,
            train_dataset=data["train"],
            eval_dataset=data["select"],
            compute_metrics=accuracy,
        )
        took = trainer.train().metrics["train_runtime"]
        return {"accuracy": trainer.predict(data["test"]).metrics["test_accuracy"], "seconds_training": took}


if __name__ == "__main__":
    main()
