"""A wheel of this checkout, built without a network and unpacked, as an installation would lay it out."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest
from smoke import ROOT, checkout


def unpacked_wheel(folder: Path) -> Path:
    """Build a wheel of a copy of this checkout, and return the folder that it was unpacked into."""
    if missing := [name for name in ("pip", "setuptools") if find_spec(name) is None]:
        pytest.skip(f"no wheel can be built here without {' and '.join(missing)}")
    tree = checkout(folder / "source")
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, tree / name)
    (tree / "workflow/scripts/__pycache__").mkdir()
    (tree / "workflow/scripts/__pycache__/left_behind.pyc").touch()
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", str(folder), str(tree)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as content:
        content.extractall(folder / "site")
    shutil.rmtree(tree)
    return folder / "site"
