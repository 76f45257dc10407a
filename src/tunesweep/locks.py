"""Locks that end with their process, on files that may be removed while they are held."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

# Some network file systems have no locks: there two commands may train one point twice, and both finish.
NONE = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)


def wait(open_file: Callable[[], IO[str]]) -> IO[str]:
    """Return the open file once this process alone holds its lock; OSError where there are no locks."""
    import fcntl

    while True:
        file = open_file()
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:
            file.close()
            raise
        if _is_at(file.fileno(), Path(file.name)):
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
    import fcntl

    try:
        handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | (os.O_CREAT if make else 0), 0o666)
    except OSError as error:
        yield isinstance(error, FileNotFoundError) and not make
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mine = _is_at(handle, path)
        except OSError:
            mine = False
        yield mine
    finally:
        os.close(handle)


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.lstat())
    except OSError:
        return False
