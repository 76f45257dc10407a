"""The device, and whether it computes in bf16 and in 4 bits."""

from __future__ import annotations

from tunesweep.doctor.finding import FAILS, NOTE, OK, Finding
from tunesweep.doctor.probe import Answer

INSTALL = "install tunesweep again, in a clone by make setup"


def device(answer: Answer) -> Finding:
    """Say what points run on."""
    from tunesweep import hardware

    if answer.failure:
        return Finding("device", FAILS, f"torch cannot be loaded ({answer.failure})", INSTALL)
    if answer.gpus:
        return Finding("device", OK, f"{', '.join(answer.gpus)} (torch {answer.torch})")
    here = f"{hardware.cpu_name()}, {answer.threads} threads (torch {answer.torch})"
    if not hardware.gpus():
        return Finding("device", OK, here)
    unseen = f"the driver knows {hardware.gpus()[0][0]}, and torch {answer.torch} sees no GPU"
    remedy = "install a torch for CUDA, or write runtime.device=cpu"
    return Finding("device", NOTE, unseen, remedy)


def bf16(answer: Answer) -> Finding:
    """Say which precision `train.precision=auto` stands for."""
    from tunesweep import hardware

    native = answer.bf16 if answer.gpus else hardware.native_precision("cpu") == "bf16"
    if native:
        return Finding("bf16", OK, "the device computes in it, and train.precision=auto takes it")
    return Finding("bf16", NOTE, "the device has no instructions for it, so train.precision=auto takes fp32")


def bitsandbytes(answer: Answer) -> Finding:
    """Say whether QLoRA's 4-bit weights work on the device."""
    if answer.failure:
        return Finding("bitsandbytes", FAILS, "it could not be asked without torch", INSTALL)
    if answer.four_bits:
        remedy = "pip install 'bitsandbytes>=0.50', or leave method=qlora out"
        return Finding("bitsandbytes", FAILS, f"4-bit weights do not work: {answer.four_bits}", remedy)
    return Finding("bitsandbytes", OK, f"{answer.bitsandbytes}, and 4-bit weights work here")
