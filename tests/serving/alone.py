"""Runs the lines of exported cards in this process, which has never imported tunesweep: JSON in, JSON out."""

import json
import re
import sys
import warnings
from pathlib import Path


def lines_of(card: str) -> str:
    """Return the Python lines of a card."""
    found = re.search(r"```python\n(.*?)```", card, re.DOTALL)
    assert found
    return found[1]


def plain(value):
    return value.tolist() if hasattr(value, "tolist") else value


def in_32_bits() -> None:
    """Keep bitsandbytes from kernels of 16 bits, which some CPUs have: the artefact is what is asked."""
    from bitsandbytes.nn import modules

    modules.has_avx512bf16 = lambda: False


def main(jobs: list[dict]) -> list[dict]:
    in_32_bits()
    answers = []
    for job in jobs:
        texts = [tuple(text) if isinstance(text, list) else text for text in job["texts"]]
        names = {"folder": job["folder"], "base": job["base"], "texts": texts}
        try:
            exec(lines_of((Path(job["folder"]) / "README.md").read_text()), names)
            answers.append({"results": [plain(value) for value in names["results"]]})
        except Exception as error:  # told to the test, which names the job
            answers.append({"error": f"{type(error).__name__}: {error}"})
    return answers


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    found = main(json.loads(Path(sys.argv[1]).read_text()))
    assert not any(name.startswith("tunesweep") for name in sys.modules)
    Path(sys.argv[2]).write_text(json.dumps(found))
