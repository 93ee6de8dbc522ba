"""A folder that appears complete or not at all; and a path to one that is no pattern."""

import contextlib
import errno
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator

import tensorflow as tf

from tfav import registry


@contextlib.contextmanager
def folder(output: str | os.PathLike) -> Iterator[str]:
    """Makes a temporary folder beside `output`, and removes it whatever happens; see `beside`.

    Raises:
      UserError: the disk is full, or the place cannot be written.
    """
    try:
        with beside(output) as made:
            yield made
    except (OSError, tf.errors.OpError) as error:
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
        if full or isinstance(error, tf.errors.ResourceExhaustedError):
            raise registry.UserError(
                f"the disk is full: {output} was not written and what was there is unchanged. Free "
                "some space or choose an --output on another disk."
            ) from error
        raise registry.UserError(
            f"{output} cannot be written ({error}): choose another --output."
        ) from error


@contextlib.contextmanager
def beside(output: str | os.PathLike, hidden: bool = False) -> Iterator[str]:
    """Makes the folder `NAME.partial-xxxxxxxx` beside `output`, and removes it whatever happens.

    What killed runs to the same output have left there goes first.

    Args:
      output: local path that need not exist; of a link, its target.
      hidden: begins the folder's name with a dot.

    Raises:
      OSError: the place cannot be written.
    """
    place = os.path.realpath(output)
    parent, name = os.path.split(place)
    prefix = f"{'.' if hidden else ''}{name}.partial-"
    os.makedirs(parent, exist_ok=True)
    _remove_stale(place, prefix)
    made = tempfile.mkdtemp(prefix=prefix, dir=parent)
    try:
        with _locked(made):
            mask = os.umask(0)
            os.umask(mask)
            os.chmod(made, 0o777 & ~mask)  # mkdtemp keeps others out; a data set is for all
            yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextlib.contextmanager
def plain(folder: str | os.PathLike) -> Iterator[str]:
    """Yields a path to an existing folder that holds no character of the user's.

    TensorFlow looks checkpoints and variables up by patterns, and takes `[ ] * ?` in a folder's
    name for one. This path leads through the files that the process has open (Linux), and ends
    with the block.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{handle}"
    finally:
        os.close(handle)


def publish(made: str | os.PathLike, output: str | os.PathLike) -> None:
    """Renames `made` to `output`; an old folder goes only once the new one is in its place."""
    place = os.path.realpath(output)
    if not os.path.isdir(place):
        os.rename(made, place)
        return
    old = f"{made}-old"
    os.rename(place, old)
    try:
        os.rename(made, place)
    except BaseException:
        os.rename(old, place)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _remove_stale(place: str, prefix: str) -> None:
    """Removes the folders beside `place` of runs that were killed.

    SIGKILL runs no `finally`, and each data set or model left so may fill gigabytes. Only the names
    that `beside` and `publish` give go, and no folder of a run that still writes: its lock tells. A
    `-old` stays while nothing is at `place`: it is then what was there before.
    """
    parent = os.path.dirname(place)
    form = re.compile(re.escape(prefix) + "[a-z0-9_]{8}(?P<old>-old)?")  # as mkdtemp names them
    for entry in sorted(os.scandir(parent), key=lambda entry: entry.name):
        found = form.fullmatch(entry.name)
        if not found or not entry.is_dir(follow_symlinks=False):
            continue
        if found["old"] and not os.path.exists(place):
            continue
        with contextlib.suppress(OSError), _locked(entry.path, strict=True):
            shutil.rmtree(entry.path, ignore_errors=True)


@contextlib.contextmanager
def _locked(path: str, strict: bool = False) -> Iterator[None]:
    """Holds the lock of a folder, which the kernel lets go when the process ends, however it ends.

    Args:
      path: the folder.
      strict: raise OSError where it cannot be had: held elsewhere, or a file system without locks.
    """
    lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.nullcontext() if strict else contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(lock)
