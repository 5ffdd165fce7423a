"""Installed packages, as far as Python can tell: what `pip install` would leave of them in a folder."""

import shutil
import tomllib
from collections.abc import Mapping
from pathlib import Path

from smoke import ROOT

EXAMPLE = ROOT / "examples" / "own_parts"


def register(folder: Path, name: str, version: str, entry_points: Mapping[str, Mapping[str, str]]) -> None:
    """Lay a package's entry points, by group and name, into a folder that belongs on the path of Python."""
    about = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    lines = [line for group, found in entry_points.items() for line in (f"[{group}]", *map(" = ".join, found.items()))]
    (about / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def installed(folder: Path) -> Path:
    """Lay the package under `examples/` into a folder as its pyproject.toml says; return the folder."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    register(folder, project["name"], project["version"], project["entry-points"])
    shutil.copytree(EXAMPLE / "src", folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    return folder
