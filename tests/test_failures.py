"""The classes of failures are one table that errors and sweeps share."""

from tunesweep import errors
from tunesweep.failures import CLASSES, NEVER_HELPS


def test_every_error_of_ours_that_a_point_can_raise_has_a_class() -> None:
    kinds = {kind.failure for kind in vars(errors).values() if hasattr(kind, "failure")}
    assert kinds - {"sweep", "early exit"} <= set(CLASSES)


def test_what_would_fail_in_the_same_way_is_never_tried_twice_in_one_command() -> None:
    assert not any(CLASSES[name].retries for name in NEVER_HELPS)
