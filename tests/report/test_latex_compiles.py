"""The LaTeX of a report is LaTeX, where there is one to say so."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from made_store import fill

from tunesweep.report import render
from tunesweep.report.rows import Scope

PAGE = r"""\documentclass{article}
\usepackage{booktabs}
\usepackage[T1]{fontenc}
\usepackage[a0paper,landscape]{geometry}
\begin{document}
\input{report.tex}
\end{document}
"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex is installed")
def test_the_tables_compile_with_any_name(store, tmp_path):
    fill(store, 60, examples=50)
    for run in ("0" * 16, f"{3:016x}"):
        record = store.get(run)
        record.config["model"]["name"] = r"a_b %$#{}~^\ & <é> – \end{tabular}"
        store.put(record)
    text = render.latex(render.build(store, Scope(all=True)))
    assert text.count(r"\begin{tabular}") == 3
    (tmp_path / "report.tex").write_text(text)
    (tmp_path / "page.tex").write_text(PAGE)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "page.pdf").stat().st_size > 5000
