"""Packages that are installed as far as Python can tell: what an installer would leave of them in a folder."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

EXAMPLE = Path(__file__).parents[1] / "examples" / "own_parts"
OVERLAY = EXAMPLE / "config" / "own_parts.yaml"


def install(folder: Path, name: str, version: str, entry_points: Mapping[str, Mapping[str, str]]) -> None:
    """Register entry points, by group and name, in a folder that stands on the path."""
    described = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    described.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    (described / "METADATA").write_text(metadata, encoding="utf-8")
    lines = [
        f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in found.items()) for group, found in entry_points.items()
    ]
    (described / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")


def install_example(folder: Path) -> None:
    """Install the package under examples/ as its pyproject.toml says."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    shutil.copytree(EXAMPLE / "src", folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    install(folder, project["name"], project["version"], project["entry-points"])


def overlay() -> dict[str, Any]:
    """Return the example's config."""
    content: dict[str, Any] = yaml.safe_load(OVERLAY.read_text(encoding="utf-8"))
    return content
