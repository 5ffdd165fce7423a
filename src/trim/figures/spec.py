"""A figure as the workflow knows it: what draws it, from what and for what, and what the report says of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from trim.config.experiment import Experiment
from trim.errors import ConfigError
from trim.files import read_csv, read_parquet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Scope = Literal["evaluated", "trained", "once"]
"""Drawn for each dataset that is evaluated, for each that routers are trained on, or once for all."""

Reads = Callable[[Experiment, str], Mapping[str, str | Sequence[str]]]
"""Files that a figure of one dataset (empty where it is drawn once) is drawn from, by name."""


@dataclass(frozen=True, slots=True)
class FigureSpec:
    """A kind of figure.

    Attributes
    ----------
    name
        Start of its files' names.
    draw
        "module:function", imported when the figure is drawn. It gets what stands in the files of `reads`, in their
        order, then by name `dataset` and `trained_on` (each evaluated dataset, the first one trained on) or
        `trained_on` alone (each dataset trained on), then `settings`. Tables come as data frames, other files and
        folders as paths.
    scope
        For what it is drawn.
    reads
        Returns what it is drawn from.
    category, title, caption
        Where it stands in the report, what it is called and what is said of it there.
    settings
        Returns what else the config says to `draw`.
    wanted
        Whether an experiment has something to show.
    note
        Returns what the caption says besides of an experiment and dataset (empty where it is drawn once), if anything.
    """

    name: str
    draw: str
    scope: Scope
    reads: Reads
    category: str
    title: str
    caption: str
    settings: Callable[[Experiment], Mapping[str, Any]] = lambda experiment: {}
    wanted: Callable[[Experiment], bool] = lambda experiment: True
    note: Callable[[Experiment, str], str] = lambda experiment, dataset: ""

    def function(self) -> Callable[..., Figure]:
        """Import what draws it.

        Raises
        ------
        ConfigError
            If it is not there.
        """
        module, _, name = self.draw.partition(":")
        try:
            function: Callable[..., Figure] = getattr(import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise ConfigError(f"figure {self.name!r}: {self.draw!r}, which draws it, is not there: {error}") from error
        return function

    def drawn(self, files: Mapping[str, Any], arguments: Mapping[str, Any]) -> Figure:
        """Draw one figure of the kind from its files."""
        return self.function()(*(_content(found) for _, found in files.items()), **arguments)


@dataclass(frozen=True, slots=True)
class Drawing:
    """One figure of an experiment: a kind, and the dataset that it is about (empty where it is drawn once)."""

    figure: FigureSpec
    dataset: str

    @property
    def name(self) -> str:
        """Name of its files, without suffix."""
        return f"{self.figure.name}_{self.dataset}" if self.dataset else self.figure.name

    @property
    def labels(self) -> dict[str, str]:
        """What the report calls it."""
        return {"figure": self.figure.title, "dataset": self.dataset or "all"}

    def caption(self, experiment: Experiment) -> str:
        """Return what the report says of it."""
        return f"{self.figure.caption} {self.figure.note(experiment, self.dataset)}".rstrip()

    def inputs(self, experiment: Experiment) -> dict[str, str | list[str]]:
        """Return the files that it is drawn from, by name."""
        found = self.figure.reads(experiment, self.dataset)
        return {name: files if isinstance(files, str) else list(files) for name, files in found.items()}

    def arguments(self, experiment: Experiment) -> dict[str, Any]:
        """Return what its `draw` gets by name."""
        about = {
            "evaluated": {"dataset": self.dataset, "trained_on": experiment.routers.trained_on[0]},
            "trained": {"trained_on": self.dataset},
            "once": {},
        }
        return {**about[self.figure.scope], **self.figure.settings(experiment)}


def tables(*names: str) -> Reads:
    """Return what says that a figure is drawn from these tables of the experiment."""
    return lambda experiment, dataset: {name: f"{experiment.results}/tables/{name}.csv" for name in names}


def _content(found: Any) -> Any:
    """Return what a draw function gets for a file: a data frame, or the path of what is not a table."""
    if not isinstance(found, str):
        return [Path(path) for path in found]
    readers: dict[str, Callable[[str], Any]] = {".csv": read_csv, ".parquet": lambda path: read_parquet(path, {})}
    return readers.get(Path(found).suffix, Path)(found)
