"""What pyproject.toml cannot say: a wheel holds the workflow too, as `trim/_workflow/`, where `trim run` finds it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

FILES = ("Snakefile", "config.yaml")
FOLDERS = ("config", "data/published", "envs", "paper", "profiles", "workflow")
"""What Snakemake reads of this checkout, beside the library."""


class BuildWithWorkflow(build_py):
    """The usual build, and the workflow beside the modules; an editable installation finds it in the checkout."""

    def run(self) -> None:
        """Copy what is in the checkout now, and nothing that an earlier build left."""
        super().run()
        if not self.editable_mode:
            shutil.rmtree(self._place, ignore_errors=True)
            for path in workflow_files():
                (self._place / path).parent.mkdir(parents=True, exist_ok=True)
                self.copy_file(str(path), str(self._place / path))

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """Name what a wheel holds."""
        copied = [] if self.editable_mode else [str(self._place / path) for path in workflow_files()]
        return [*super().get_outputs(include_bytecode), *copied]

    def get_source_files(self) -> list[str]:
        """Name what a source distribution holds."""
        return [*super().get_source_files(), *map(str, workflow_files())]

    @property
    def _place(self) -> Path:
        return Path(self.build_lib) / "trim" / "_workflow"


def workflow_files() -> Iterator[Path]:
    """Yield the files of the workflow, by their names in the checkout."""
    yield from map(Path, FILES)
    for folder in FOLDERS:
        yield from sorted(p for p in Path(folder).rglob("*") if p.is_file() and "__pycache__" not in p.parts)


setup(cmdclass={"build_py": BuildWithWorkflow})
