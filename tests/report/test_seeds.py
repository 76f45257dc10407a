from __future__ import annotations

import pytest

from tunesweep.report.rows import Row
from tunesweep.report.seeds import merge

row = Row.from_record


@pytest.fixture
def seeded(record):
    """Runs of one configuration, a seed each."""

    def runs(name: str, rights: list[int], **changes):
        records = [
            record(f"{name}{seed}", right=right, seed=seed, **changes) for seed, right in enumerate(rights)
        ]
        for seed, one in enumerate(records):
            one.config["seeds"] |= {"init": seed, "data": seed}
            one.name = f"{name} seed={seed}"
        return records

    return runs


def test_runs_that_differ_in_their_seed_are_one_row(seeded):
    (merged,) = merge([row(one) for one in seeded("lora", [700, 730, 760])])
    assert [run["run_id"] for run in merged.runs] == ["lora0", "lora1", "lora2"]
    assert (merged["score"], merged["seeds"], merged["name"]) == (pytest.approx(0.73), 3, "lora")
    assert merged["outcome"] == "succeeded"
    assert "seed" not in merged.settings


def test_other_settings_stay_apart(seeded, record):
    rows = [row(one) for one in (*seeded("a", [700, 701]), *seeded("b", [700, 701], train__epochs=3))]
    other_split = row(record("c", seeds__split=1))
    assert [len(found.runs) for found in merge([*rows, other_split])] == [2, 2, 0]


def test_runs_of_one_seed_stay_apart(record):
    assert [found["run_id"] for found in merge([row(record(name)) for name in "abc"])] == ["a", "b", "c"]


def test_other_software_stays_apart(seeded):
    records = seeded("lora", [700, 730])
    records[0].provenance = {"versions": {"torch": "2.13.0"}}
    records[1].provenance = {"versions": {"torch": "2.14.0"}}
    assert len(merge([row(one) for one in records])) == 2
    records[1].provenance = {"versions": {"torch": "2.13.1"}}
    assert len(merge([row(one) for one in records])) == 1


def test_costs_are_means_and_failed_runs_are_counted(seeded, failed):
    records = seeded("lora", [700, 730, 760])
    records[0].cost["minutes"] = 3.0
    records[1].cost["minutes"] = 5.0
    failed(records[2])
    (merged,) = merge([row(one) for one in records])
    assert (merged["minutes"], merged["seeds"]) == (4.0, 2)
    assert merged["outcome"] == "2 succeeded, 1 failed"
    assert merged["score"] == pytest.approx(0.715)


def test_a_configuration_whose_runs_all_failed_has_dashes(seeded, failed):
    (merged,) = merge([row(failed(one)) for one in seeded("lora", [700, 730])])
    assert (merged["score"], merged["seeds"], merged["outcome"]) == (None, 0, "failed")
