"""Asks torch and bitsandbytes in a process of its own: loading them takes seconds, and may end in a crash."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

SECONDS = 120  # a cold disk needs half a minute
TOLERANCE = 0.15  # of the largest weight: what rounding to NF4's 16 values may cost, with room


@dataclass(frozen=True)
class Answer:
    """What torch sees; `failure` says why it could not be asked."""

    torch: str = ""
    gpus: list[str] = field(default_factory=list)
    threads: int = 0
    bf16: bool = False  # of the GPU
    bitsandbytes: str = ""
    four_bits: str = ""  # why 4-bit weights do not work here, if so
    failure: str = ""


class Probe:
    """The process, begun at once; its answer is fetched when it is wanted."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tunesweep.doctor.probe"]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
        )

    def __enter__(self) -> Probe:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def answer(self) -> Answer:
        """Wait for the answer."""
        try:
            said, errors = self.process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            return Answer(failure=f"torch did not answer within {SECONDS} s")
        try:
            return Answer(**json.loads(said.splitlines()[-1]))
        except (IndexError, ValueError, TypeError):
            return Answer(failure=_last(errors) or f"the process ended with status {self.process.returncode}")


def _last(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def ask() -> dict[str, Any]:
    """Load torch and bitsandbytes, and return what there is to know."""
    import torch

    there = torch.cuda.is_available()
    found = {
        "torch": torch.__version__,
        "gpus": [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())],
        "threads": torch.get_num_threads(),
        "bf16": there and torch.cuda.is_bf16_supported(including_emulation=False),
    }
    try:
        import bitsandbytes

        found["bitsandbytes"] = str(bitsandbytes.__version__)
        found["four_bits"] = _four_bits("cuda" if there else "cpu")
    except Exception as error:  # whatever it is, QLoRA would meet it, too
        found["four_bits"] = f"{type(error).__name__}: {_last(str(error))}"
    return found


def _four_bits(device: str) -> str:
    """Multiply by weights in NF4 as QLoRA does; return what is wrong, if anything is."""
    import torch
    from bitsandbytes import functional, matmul_4bit

    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(64, 64, generator=generator).to(device)
    packed, state = functional.quantize_4bit(weights, quant_type="nf4")
    kept = functional.dequantize_4bit(packed, state)
    inputs = torch.eye(64, device=device)
    product = matmul_4bit(inputs, packed.t(), quant_state=state)
    limit = TOLERANCE * float(weights.abs().max())
    worst = max(float((kept - weights).abs().max()), float((product.T - weights).abs().max()))
    return (
        ""
        if worst <= limit
        else f"weights in 4 bits are off by {worst:.2g}, and at most {limit:.2g} is usual"
    )


if __name__ == "__main__":
    print(json.dumps(ask()))
