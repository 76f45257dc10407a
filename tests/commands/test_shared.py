from __future__ import annotations

import errno

import pytest
import typer

from tunesweep.commands.shared import one_sentence


def test_output_that_finds_no_space_is_one_sentence(capsys):
    with pytest.raises(typer.Exit) as left, one_sentence():
        raise OSError(errno.ENOSPC, "No space left on device")
    assert left.value.exit_code == 1
    said = "tunesweep: no space is left (for what is printed): free some, then try again\n"
    assert capsys.readouterr().err == said


def test_a_pipe_that_is_closed_stays_what_it_is():
    with pytest.raises(BrokenPipeError), one_sentence():
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")
