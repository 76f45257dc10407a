"""Research sweeps over ways of fine-tuning language models.

The names below are for use as a library; each is loaded when it is first asked for, torch when a run starts.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tunesweep.config import RunConfig
    from tunesweep.library import compare, compose, load_runs, run
    from tunesweep.record import RunRecord

__version__ = "0.1.0"
__all__ = ["RunConfig", "RunRecord", "__version__", "compare", "compose", "load_runs", "run"]

_HOMES = {"RunConfig": "tunesweep.config", "RunRecord": "tunesweep.record"}  # of the others: the library


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'tunesweep' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES.get(name, "tunesweep.library")), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
