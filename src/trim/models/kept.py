"""Folders of the step store, for what is neither a step nor a score but comes from a model or from outside too.

A trained model, or the problems of a file: each is a folder `<store>/<room>/<digest of all that decides it>`, whose
identity.json says what that is and whose SHA256SUMS is checked before anything in it is believed.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trim.checksums import SUMS, check_folder, short_digest, sum_folder, summed_names
from trim.errors import ClosedFolder, DamagedFile
from trim.files import written_aside

logger = logging.getLogger(__name__)

PRMS, PROBLEMS, SOLUTIONS, FITS, CHECKPOINTS = "prms", "problems", "solutions", "fits", "checkpoints"
ROOMS = (PRMS, PROBLEMS, SOLUTIONS, FITS, CHECKPOINTS)
"""Rooms of the store."""

IDENTITY_FILE = "identity.json"
DESCRIPTIONS = (IDENTITY_FILE, SUMS)
"""Files that say what a folder is; all others are what it holds."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The kept folders of a step store.

    Attributes
    ----------
    root
        Folder of the store.
    offline
        Whether the store is only read.
    """

    root: Path
    offline: bool = False

    def place(self, room: str, facts: Mapping[str, Any]) -> Path:
        """Return where something is kept, or would be.

        Parameters
        ----------
        room
            What kind of thing it is.
        facts
            All that decides it, as JSON has it.
        """
        return self.root / room / short_digest(_said(facts))

    def restore(self, room: str, facts: Mapping[str, Any], folder: Path) -> bool:
        """Copy into a folder what is kept; return whether there is any.

        Raises
        ------
        DamagedFile
            Names what in the store is not what was kept.
        """
        place = self.place(room, facts)
        if not place.is_dir():
            return False
        check_kept(place)
        if (place / IDENTITY_FILE).read_bytes() != _said(facts):
            raise DamagedFile(place / IDENTITY_FILE, "it describes something else", place)
        for name in names_kept(place):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(place / name, folder / name)
        return True

    def keep(self, room: str, facts: Mapping[str, Any], folder: Path, without: str = "") -> None:
        """Keep a copy of a folder, in place of what was kept before; nothing offline, or in a store closed to us.

        Parameters
        ----------
        without
            Name of what in the folder is not worth keeping.
        """
        if self.offline:
            return
        try:
            with written_aside(self.place(room, facts)) as aside:
                shutil.copytree(folder, aside, ignore=shutil.ignore_patterns(without))
                (aside / IDENTITY_FILE).write_bytes(_said(facts))
                sum_folder(aside)
        except ClosedFolder as error:
            logger.warning("%s: %s is not kept: %s", self.root, folder, error)


def _said(facts: Mapping[str, Any]) -> bytes:
    return json.dumps(facts, indent=1, sort_keys=True).encode() + b"\n"


def check_kept(place: Path) -> None:
    """Check a kept folder, which must have checksums.

    Raises
    ------
    DamagedFile
        Names the first file that is missing, another one or too many.
    """
    if not {IDENTITY_FILE, SUMS} <= {path.name for path in place.glob("*")}:
        raise DamagedFile(place, f"it lacks {IDENTITY_FILE} or {SUMS}")
    check_folder(place)
    files = {path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()}
    if unnamed := sorted(files - {SUMS, *summed_names(place)}):  # a stray one, or the list has lost its end
        raise DamagedFile(place / unnamed[0], f"{SUMS} does not name it", place)


def names_kept(place: Path) -> list[str]:
    """Return the names of what a kept folder holds."""
    return [name for name in summed_names(place) if name not in DESCRIPTIONS]


def problem_facts(name: str, dataset: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Return what decides the problems of a dataset.

    Parameters
    ----------
    name
        Its name in the config.
    dataset
        Its section of the config; what it says of the licence decides no problem.
    seed
        The experiment's.
    """
    spec = {key: value for key, value in dataset.items() if key != "licence"}
    return {"dataset": name, "spec": spec, "seed": seed}
