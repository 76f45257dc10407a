from __future__ import annotations

import hashlib
import sys

import pytest
from made_store import fill
from PIL import Image

from tunesweep.errors import StorageError
from tunesweep.report import plots, render
from tunesweep.report.rows import Scope
from tunesweep.report.series import Axis, Picture, Point, Series


@pytest.fixture
def small(store):
    return fill(store, 40, examples=50)


def test_plots_are_written_beside_the_report(small, monkeypatch, capsys):
    monkeypatch.setattr(plots, "pictures", lambda *_: [PICTURE])
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)
    paths = render.report(small, Scope(), plots=True)
    base = small.root / "reports"
    names = [path.relative_to(base).as_posix() for path in paths]
    assert names[:4] == ["made.md", "made.csv", "made.tex", "made.html"]
    assert names[4:] == [f"made/{block}-odd{suffix}" for block in (1, 2, 3) for suffix in (".png", ".pdf")]
    assert f"Plots: 6 files in {base / 'made'}" in capsys.readouterr().out.replace("\n", "")
    assert "matplotlib.pyplot" not in sys.modules  # no state, no display


def test_a_block_has_the_pictures_that_the_page_has(small):
    block = render.build(small, Scope()).blocks[0]
    records = {record.run_id: record for record in small.each()}
    found = [picture.key for picture in plots.pictures(block, records, ["full", "lora"])]
    costs = ["memory_bytes", "training_minutes", "trainable", "disk_bytes"]
    assert found[:4] == costs
    assert {"rank", "training-loss", "training-accuracy", "training-train_loss"} < set(found)


PICTURE = Picture(
    "odd",
    "Odd",
    Axis("cost $x_1", log=True),
    Axis("score"),
    (
        Series("_hidden $a_b^", (Point(1, 0.5, "a", 0.4, 0.6, "front"), Point(10, 0.4, "b", mark="tied"))),
        *(Series(f"line {n}", (Point(n, 0.3, "c"),), n, n) for n in range(1, 13)),
    ),
    joined=False,
    front=(Point(1, 0.5, "a"),),
)


def test_texts_are_not_taken_for_mathematics_and_no_name_is_hidden(tmp_path):
    figure = plots.draw(PICTURE, "a $title")
    figure.savefig(tmp_path / "drawn.png")
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend[0].replace("\\$", "$").strip() == "_hidden $a_b^"
    assert len(legend) == 14  # thirteen lines and the front
    with Image.open(tmp_path / "drawn.png") as image:
        assert image.width > 500


def test_names_on_an_axis_are_no_mathematics_either(tmp_path):
    points = tuple(Point(place, 0.5, "a") for place in (0, 1))
    odd = Picture(
        "odd", "Odd", Axis("encoding", names=("$x_{$", "plain")), Axis("score"), (Series("full", points),)
    )
    plots.draw(odd).savefig(tmp_path / "drawn.png")  # which fails for mathematics that has no end


def test_a_few_lines_have_their_legend_inside():
    few = Picture("few", "Few", Axis("r"), Axis("score"), (Series("lora", (Point(4, 0.5, "a"),)),))
    figure = plots.draw(few)
    assert not figure.legends
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["lora"]
    assert figure.axes[0].get_xticks().tolist() == [4]


def test_the_same_runs_give_the_same_files(small, monkeypatch, tmp_path):
    monkeypatch.setattr(plots, "pictures", lambda *_: [PICTURE])
    table = render.build(small, Scope())
    digests = [
        [hashlib.sha256(path.read_bytes()).hexdigest() for path in plots.save(small, table, tmp_path / name)]
        for name in ("one", "two")
    ]
    assert digests[0] == digests[1]


def test_a_folder_that_cannot_be_written_is_said(small, monkeypatch, tmp_path):
    monkeypatch.setattr(plots, "pictures", lambda *_: [PICTURE])
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        plots.save(small, render.build(small, Scope()), tmp_path / "file")
