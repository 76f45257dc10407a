"""How the code hangs together: no cycles, nothing heavy where it does not belong, files one can read."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
FILES = {
    ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((SOURCE / "tunesweep").rglob("*.py"))
}
CODE = [
    *FILES.values(),
    *(ROOT / "benchmarks").rglob("*.py"),
    *(ROOT / "docs").glob("*.py"),
    ROOT / "train.py",
]
TESTS = sorted((ROOT / "tests").rglob("*.py"))
FRAMEWORKS = {"torch", "transformers", "peft", "pytorch_lightning", "datasets", "bitsandbytes", "wandb"}
CONFIGURATION = {"hydra", "omegaconf"}
# No framework at all: they are arithmetic and text.
PURE = (
    *("stats", "metrics", "text_metrics", "perplexity", "preferences", "specialisation", "predictions"),
    *("parts", "failures", "errors", "locks", "clock", "upgrades", "hardware", "doctor", "library"),
)
# What plans, compares and shows: everything that must answer before torch could be imported.
QUICK = (
    *("config", "capabilities", "estimate", "identity", "record", "store", "report", "sweep", "search"),
    *("care", "commands", "composing", "door", "explain", "scaffold", "cli", "train", "verify", "attempt"),
)


@pytest.mark.parametrize("part", PURE)
def test_pure_modules_import_no_framework(part: str) -> None:
    assert reached(part) & (FRAMEWORKS | CONFIGURATION) == set()


@pytest.mark.parametrize("part", QUICK)
def test_planning_and_reports_import_no_framework_but_that_of_the_configuration(part: str) -> None:
    assert reached(part) & FRAMEWORKS == set()


def test_no_module_imports_itself_by_a_detour() -> None:
    list(TopologicalSorter(GRAPH).static_order())  # raises CycleError, which names the detour


def test_the_parts_named_here_are_there() -> None:
    assert all(modules_of(part) for part in (*PURE, *QUICK))


def test_names_of_test_files_are_unique() -> None:
    names = [path.name for path in TESTS if path.name != "conftest.py"]
    assert sorted(names) == sorted(set(names))  # pytest imports them by their names alone


@pytest.mark.parametrize("path", [*CODE, *TESTS], ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_are_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 300
    if path in CODE:
        functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
        assert [f.name for f in functions if (f.end_lineno or 0) - f.lineno >= 50] == []


def modules_of(part: str) -> list[str]:
    name = f"tunesweep.{part}"
    return [module for module in FILES if module == name or module.startswith(f"{name}.")]


def reached(part: str) -> set[str]:
    """Return the top packages that are imported with any module of a part."""
    open_, seen = modules_of(part), set()
    while open_:
        module = open_.pop()
        if module not in seen:
            seen.add(module)
            open_ += [*GRAPH[module], *([parent] if (parent := module.rpartition(".")[0]) in FILES else [])]
    return {name.split(".")[0] for module in seen for name in imported(module) if name not in FILES}


@cache
def imported(module: str) -> frozenset[str]:
    """Return what a module imports when it is imported: names of modules, ours and others."""
    found: set[str] = set()
    for node in executed(ast.parse(FILES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {node.module, *(inner & FILES.keys())}
    return frozenset(found)


def executed(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the statements that run on import: not those of functions, nor what only type checkers read."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from executed(child)


GRAPH = {module: {name for name in imported(module) if name in FILES} - {module} for module in FILES}
