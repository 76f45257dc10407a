"""What a sentence proposes instead."""

from __future__ import annotations

from tunesweep.errors import suggest


def test_the_nearest_option_is_proposed_and_what_others_call_it() -> None:
    assert suggest("epoch", ["lr", "epochs"]).endswith("did you mean 'epochs'?")
    assert suggest("learning_rate", ["lr", "epochs"]).endswith("did you mean 'lr'?")
    assert suggest("learning_rate", ["r", "alpha"]) == "one of r, alpha"  # not of this group
    assert suggest("zzz", ["lr", None]) == "one of lr, null"
