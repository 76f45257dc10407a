"""Which method goes with which model, readout, quantisation and runtime: data, checked before anything loads.

`cells` are the product of the axes, `rules` the table of what cannot be, `points` asks it of a
configuration, and `catalogue` reads the methods from their YAML.
"""

from tunesweep.capabilities.cells import AXES, Cell, cells, cells_of, traits
from tunesweep.capabilities.points import cell_of, check, learns_from_features, packs, problems
from tunesweep.capabilities.rules import RULES, Rule, why_not

__all__ = [
    "AXES",
    "RULES",
    "Cell",
    "Rule",
    "cell_of",
    "cells",
    "cells_of",
    "check",
    "learns_from_features",
    "packs",
    "problems",
    "traits",
    "why_not",
]
