"""Errors that a user can fix: one sentence that says what, where and how."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class TrimError(Exception):
    """Base of the errors that are reported without a traceback."""

    def __str__(self) -> str:
        """Return the sentence on one line, whatever it cites."""
        return " ".join(super().__str__().splitlines())


LONGEST_QUOTE = 600
"""Characters of a quoted value that an error shows."""


def abridged(text: str) -> str:
    """Leave out the middle of what nobody would read: a value that an error quotes may be long."""
    return text if len(text) <= LONGEST_QUOTE else f"{text[: LONGEST_QUOTE // 2]} ... {text[-LONGEST_QUOTE // 2 :]}"


class ConfigError(TrimError):
    """The configuration is wrong."""


class InputError(TrimError):
    """A file or dataset that the experiment reads is wrong."""


class DamagedFile(InputError):
    """A file that the workflow wrote is not what it was.

    Parameters
    ----------
    path
        The file.
    why
        How that shows.
    whole
        What is to be deleted, if that is more than the file.
    """

    def __init__(self, path: Path, why: str, whole: Path | None = None) -> None:
        self.why = why
        what = "it" if whole is None else str(whole)
        super().__init__(f"{path}: not what this workflow wrote ({why}); delete {what} and run again")


class BackendError(TrimError):
    """A model, scorer or server gave an answer that cannot be used."""


class RefusedRequest(BackendError):
    """A model finds something wrong with a request; another one may be fine."""


class StoreError(TrimError):
    """The step store is damaged, or lacks a step in offline mode."""


class RunError(TrimError):
    """A run cannot start next to what is running already, or where it is to write."""


class ClosedFolder(RunError):
    """A folder may not be written, or not be read."""


FULL = (errno.ENOSPC, errno.EDQUOT)
FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)


def about_disk(error: BaseException, path: Path) -> RunError | None:
    """Return what to say of an error that is about the disk: that it is full, or that a folder is closed to us.

    Parameters
    ----------
    path
        What was to be written, where the error itself does not say.
    """
    number = getattr(error, "errno", None)
    named = getattr(error, "filename", None)
    path = Path(named) if isinstance(named, str) and named else path
    folder = next((above for above in (path, *path.absolute().parents) if above.is_dir()), Path("/"))
    # Not every library hands the number on: safetensors and Arrow quote the system's words.
    if number in FULL or any(os.strerror(code) in str(error) for code in FULL):
        free = shutil.disk_usage(folder).free >> 20
        return RunError(
            f"{path}: there is no room left on this disk ({free} MB free); make room for it, then start again: what "
            "is finished stays"
        )
    if number == errno.EFBIG or f"(os error {errno.EFBIG})" in str(error):
        return RunError(
            f"{path}: larger than a file may be here; raise the limit (`ulimit -f`), or take a file system that holds "
            "larger files, then start again"
        )
    forbidden = next((c for c in FORBIDDEN if number == c or f"(os error {c})" in str(error)), None)
    if forbidden:
        return ClosedFolder(
            f"{folder}: {os.strerror(forbidden)}; get the right to read and write there, then start again"
        )
    return None


def about_gpu(error: BaseException) -> RunError | None:
    """Return what to say of an error of torch's (which is not imported for it): that the GPU's memory is full."""
    if type(error).__name__ != "OutOfMemoryError":
        return None
    return RunError(
        "the memory of the GPU is full; lower pair.batch_size (each row takes as much as the longest) "
        "or pair.cache_mb, see with nvidia-smi who else uses it, then start again: steps that were written stay"
    )


@contextmanager
def one_sentence() -> Iterator[None]:
    """End a command with what a user can fix, without a traceback."""
    try:
        yield
    except TrimError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        path = error.filename2 or error.filename  # of two, the one that was to become of the other
        named = f"{path}: {error.strerror}; check the path" if path else error
        print(about_disk(error, Path.cwd()) or named, file=sys.stderr)
        sys.exit(1)
