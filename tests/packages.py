"""Packages under `examples/`, as `pip install` would lay them into an environment."""

import shutil
import tomllib
from pathlib import Path

from smoke import ROOT


def installed(example: str, folder: Path) -> Path:
    """Lay a package into a folder, which then belongs on the path of Python; return the folder."""
    source = ROOT / "examples" / example
    project = tomllib.loads((source / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    about = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n", encoding="utf-8"
    )
    lines = []
    for group, entries in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in entries.items())]
    (about / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for module in source.glob("*.py"):
        shutil.copy2(module, folder)
    return folder
