"""Locks that end with their process, on files that may be removed while they are held."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO

# Some network file systems have no locks: there two commands may train one point twice, and both finish.
NONE = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)


def take(open_file: Callable[[], IO[str]], wait: bool = True) -> IO[str]:
    """Return the open file once this process alone holds its lock.

    Raises BlockingIOError where another process holds it and there is no waiting, and OSError with a
    number of `NONE` where there are no locks.
    """
    import fcntl

    while True:
        file = open_file()
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            raise
        if _is_at(file, Path(file.name)):
            return file
        file.close()  # whoever held it removed it: others lock the file that has its name now


def let_go(file: IO[str]) -> None:
    """Let go, said outright: worker processes may hold the file open for longer."""
    import fcntl

    with suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_UN)


@contextmanager
def free(path: Path, make: bool) -> Iterator[bool]:
    """Hold a lock without waiting for it, and say whether nobody else does.

    A file that is not there is made, or else counts as free. Where the file system has no locks, or
    the file cannot be opened, nobody knows: it counts as held.
    """
    flags = os.O_RDWR | os.O_NOFOLLOW | (os.O_CREAT if make else 0)
    file, mine = None, False
    try:
        file = take(partial(_open, path, flags), wait=False)
        mine = True
    except OSError as error:
        mine = isinstance(error, FileNotFoundError) and not make
    try:
        yield mine
    finally:
        if file is not None:
            file.close()


def _open(path: Path, flags: int) -> IO[str]:
    return open(path, "r+", encoding="utf-8", opener=lambda name, _: os.open(name, flags, 0o666))


def _is_at(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.lstat())
    except OSError:
        return False
