"""`tunesweep import`: another store's runs come whole or not at all, and nothing of ours is lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from importing import edit, import_

from golden_store import DIVERGED, HEAD, LORA, SWEEP
from tunesweep.care.collect import collect
from tunesweep.care.merge import merge
from tunesweep.record import RunRecord
from tunesweep.store import Store
from tunesweep.verify import verify

Tree = Callable[[Path], dict[str, tuple[bytes, int]]]


def test_all_of_a_store_comes_and_is_verified(store: Store, ours: Store, tree: Tree) -> None:
    before = tree(store.root)
    result = import_(ours, store.root)
    assert result.exit_code == 0, result.stderr
    assert "3 runs and 2 sweeps imported, 0 runs were here already, 0 items refused" in result.stdout
    verdict = verify(ours, everything=True)
    assert (verdict.runs, verdict.files, verdict.problems) == (2, 6, [])
    assert {r.run_id: r for r in ours.records()} == {r.run_id: r for r in store.records()}
    assert ours.get_sweep(SWEEP) == store.get_sweep(SWEEP)
    assert tree(store.root) == before
    assert not list(ours.root.glob("work/*"))
    again = import_(ours, store.root)
    assert "0 runs and 0 sweeps imported, 3 runs were here already" in again.stdout


def test_a_result_beats_a_failure_and_a_failure_beats_nothing(store: Store, ours: Store) -> None:
    ours.put(RunRecord(LORA, "failed", "s", "lora", {}, failure={"class": "bug", "message": "", "log": ""}))
    (ours.root / "adapters" / LORA).mkdir(parents=True)
    (ours.root / "adapters" / LORA / "old").write_text("of the failure")
    ours.put(RunRecord(DIVERGED, "succeeded", "s", "ours", {}))
    done = merge(ours, store.root)
    assert sorted(done.runs) == sorted([LORA, HEAD])
    assert ours.get(LORA) == store.get(LORA)
    assert not (ours.root / "adapters" / LORA / "old").exists()
    kept = ours.get(DIVERGED)
    assert kept is not None
    assert kept.name == "ours"
    assert done.notes == []  # a failure has no scores that could differ


def test_other_scores_under_one_id_are_said_and_ours_stay(store: Store, ours: Store) -> None:
    merge(ours, store.root)
    edit(store, LORA, lambda data: data["metrics"]["test"].update(accuracy=0.75))
    before = ours.path("records", LORA).read_bytes()
    done = merge(ours, store.root)
    assert done.notes == [f"run {LORA} has other scores there (0.75) than here (0.5): ours is kept"]
    assert ours.path("records", LORA).read_bytes() == before


def test_a_sweep_with_other_members_is_said_and_ours_stays(store: Store, ours: Store) -> None:
    ours.put_sweep(SWEEP, {"sweep_id": SWEEP, "members": ["x"]})
    done = merge(ours, store.root)
    assert done.notes == [f"sweep {SWEEP} has other members there than here: ours is kept"]
    assert ours.get_sweep(SWEEP) == {"sweep_id": SWEEP, "members": ["x"]}


def test_a_stop_before_the_record_leaves_no_run_and_the_same_command_goes_on(
    store: Store, ours: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Store, "put", stopped)
        with pytest.raises(KeyboardInterrupt):
            merge(ours, store.root)
    assert ours.records() == []
    assert merge(ours, store.root).problems == []
    assert verify(ours, everything=True).problems == []
    assert {item.path.parent.name for item in collect(ours).removed} <= {"locks"}


def test_a_run_that_is_going_on_here_is_left_alone(store: Store, ours: Store) -> None:
    with ours.claim(LORA):
        done = merge(ours, store.root)
    assert f"run {LORA} is going on here" in done.problems[0]
    assert ours.get(LORA) is None
    assert ours.get(HEAD) is not None


def test_a_newer_record_of_ours_is_kept(store: Store, ours: Store) -> None:
    path = ours.path("records", LORA)
    path.parent.mkdir(parents=True)
    path.write_text('{"schema_version": 99}')
    assert "update tunesweep" in merge(ours, store.root).problems[0]
    assert path.read_text() == '{"schema_version": 99}'


def test_code_of_a_model_is_announced(store: Store, ours: Store) -> None:
    edit(store, LORA, lambda data: data["config"]["model"].update(trust_remote_code=True))
    assert "runs code of its model" in merge(ours, store.root).notes[0]


@pytest.mark.parametrize("place", ["", "records", ".."])
def test_a_store_is_not_imported_into_itself(store: Store, place: str) -> None:
    (store.root.parent / "records").mkdir()
    (store.root / "records" / "records").mkdir()
    result = import_(store, store.root / place)
    assert result.exit_code == 1
    assert "lie in one another" in result.stderr


def test_a_folder_that_is_no_store_is_said(ours: Store, tmp_path: Path) -> None:
    result = import_(ours, tmp_path)
    assert result.exit_code == 1
    assert "holds no runs" in result.stderr
    assert not ours.root.exists()
