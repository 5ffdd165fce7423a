"""Where the files of the workflow lie: in the checkout that this library stands in, or inside the installed package."""

from __future__ import annotations

from pathlib import Path

import trim

PACKAGE = Path(trim.__file__).resolve().parent


def workflow_root() -> Path:
    """Return the folder that holds the Snakefile, config.yaml and all that they read."""
    installed = PACKAGE / "_workflow"  # what setup.py puts into a wheel
    return installed if installed.is_dir() else PACKAGE.parents[1]


def found(path: Path, root: Path) -> Path:
    """Return a file of the folder where somebody works; where it is not there, the workflow's own of this name.

    Parameters
    ----------
    path
        Name of the file, from either folder; it is returned where neither has it.
    root
        Folder where somebody works.
    """
    own = workflow_root() / path
    return next((place for place in (root / path, own) if place.exists()), root / path)
