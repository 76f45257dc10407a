"""The doctor's checks of Python, of packages and of launchers."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from email.message import Message

import pytest
from findings import said

from tunesweep.doctor import packages
from tunesweep.doctor.finding import FAILS, NOTE, OK

PROJECT = tomllib.loads(packages.PYPROJECT.read_text())["project"]


def test_a_python_outside_of_the_range_fails() -> None:
    assert packages.python().status == OK
    assert said(packages.python(">=3.99"))[0] == FAILS
    assert "is outside of >=3.99" in packages.python(">=3.99").found


def test_all_packages_in_their_ranges_are_one_line() -> None:
    (found,) = packages.packages()
    assert said(found) == (OK, f"all {len(PROJECT['dependencies'])} are within their ranges: ")


@pytest.mark.parametrize(
    ("versions", "status", "text"),
    [
        ({"peft": None}, FAILS, "peft is not installed: pip install 'peft<0.22,>=0.21'"),
        ({"wandb": None}, NOTE, "wandb is not installed, and the W&B mirror needs it"),
        ({"torch": "2.10.1"}, FAILS, "torch 2.10.1 is outside of >=2.11: pip install 'torch>=2.11'"),
        ({"peft": "0.22.0"}, NOTE, "peft 0.22.0 is outside of <0.22,>=0.21"),
        ({"transformers": "5.19.0"}, FAILS, "transformers 5.19.0 is outside of"),
        ({"matplotlib": "3.9"}, NOTE, "matplotlib 3.9 is outside of >=3.11"),
    ],
)
def test_a_package_that_is_missing_or_outside_of_its_range(
    version: Callable[..., None], versions: dict[str, str | None], status: str, text: str
) -> None:
    version(**versions)
    (found,) = packages.packages()
    assert found.status == status
    assert text in said(found)[1]


def test_a_build_before_a_release_counts_as_the_release(version: Callable[..., None]) -> None:
    version(torch="2.14.0.dev20261101+cu130")
    assert [each.status for each in packages.packages()] == [OK]


def test_what_can_be_spared_is_required_otherwise() -> None:
    assert set(packages.SPARED) <= {wanted.name for wanted in packages._of_clone(PROJECT)[1][packages.BASE]}


def test_an_installed_package_knows_the_ranges_of_the_clone() -> None:
    """Written as a wheel's METADATA has them."""
    about = Message()
    about["Requires-Python"] = PROJECT["requires-python"]
    for line in PROJECT["dependencies"]:
        about["Requires-Dist"] = line
    for extra, lines in PROJECT["optional-dependencies"].items():
        about["Provides-Extra"] = extra
        for line in lines:
            about["Requires-Dist"] = f"{line}; extra == '{extra}'"
    wanted, found = packages._as_installed(about)
    clone = packages._of_clone(PROJECT)
    assert wanted == clone[0]
    assert {extra: [(r.name, r.specifier) for r in lines] for extra, lines in found.items()} == {
        extra: [(r.name, r.specifier) for r in lines] for extra, lines in clone[1].items()
    }


@pytest.mark.parametrize("order", [list, sorted], ids=["as in the clone", "as in a wheel"])
def test_launchers_that_are_installed_are_named(
    version: Callable[..., None], order: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    extras = {extra: order(lines) for extra, lines in PROJECT["optional-dependencies"].items()}
    found_there = packages._of_clone(PROJECT | {"optional-dependencies": extras})
    monkeypatch.setattr(packages, "_ranges", lambda: found_there)
    version(hydra_joblib_launcher=None, hydra_submitit_launcher=None, hydra_ray_launcher=None)
    (found,) = packages.launchers()
    assert said(found)[1].startswith("local alone: for joblib, Slurm and Ray, pip install")
    version(hydra_joblib_launcher="1.2.0", hydra_submitit_launcher="1.1.0", hydra_ray_launcher=None)
    odd, found = packages.launchers()
    assert said(odd) == (
        NOTE,
        "hydra-submitit-launcher 1.1.0 is outside of ==1.2.0: pip install 'hydra-submitit-launcher==1.2.0'",
    )
    assert (found.status, found.found) == (OK, "local, joblib, slurm")
