"""From a LaTeX source and the results of an experiment to a PDF: the same results give the same bytes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from trim.errors import TrimError

LATEXMK = ("latexmk", "-norc", "-pdf", "-interaction=nonstopmode", "-halt-on-error", "-file-line-error")
TECTONIC = ("tectonic", "--keep-logs", "--chatter", "minimal")
INSTALL = (
    "install it (`apt-get install --no-install-recommends latexmk texlive-latex-recommended lmodern`, or "
    "`--software-deployment-method conda`) and run `snakemake paper` again; tables, figures and numbers need none of it"
)
WIDEST_OVERHANG = 5.0
"""Points that a line or table may stick out of its column."""

INCLUDED = re.compile(r"\\result(figure|table)(?:\[[^\]]*\])?\{([\w-]+)\}")


class ManuscriptError(TrimError):
    """The manuscript does not build."""


def included(text: str) -> dict[str, list[str]]:
    r"""Return the names of the figures and tables that a LaTeX text includes by ``\resultfigure``, ``\resulttable``."""
    found = INCLUDED.findall(re.sub(r"(?<!\\)%.*", "", text))
    return {kind: sorted({name for what, name in found if what == kind}) for kind in ("figure", "table")}


def build(sources: Sequence[Path], figures: Sequence[Path], tables: Sequence[Path], pdf: Path, log: Path) -> None:
    """Build the PDF in an empty folder that holds nothing but what it needs.

    Parameters
    ----------
    sources
        The manuscript first; what it reads from its own folder behind it.
    figures, tables
        Go into the folders `figures/` and `tables/`.
    log
        Gets what LaTeX said.

    Raises
    ------
    ManuscriptError
        No LaTeX is installed, LaTeX stopped, a reference or citation leads nowhere, or something sticks out.
    """
    command = _latex()
    with tempfile.TemporaryDirectory(dir=pdf.parent) as name:
        folder = Path(name)
        for room, paths in (("", sources), ("figures", figures), ("tables", tables)):
            (folder / room).mkdir(exist_ok=True)
            for path in paths:
                shutil.copyfile(path, folder / room / path.name)
        main = folder / sources[0].name
        # Dates, and the identity that pdfTeX makes from them, must not differ from run to run.
        fixed = {"SOURCE_DATE_EPOCH": "0", "FORCE_SOURCE_DATE": "1"}
        whole_lines = {"max_print_line": "10000", "error_line": "254", "half_error_line": "238"}  # of the log
        done = subprocess.run(
            [*command, main.name],
            cwd=folder,
            env={**os.environ, **fixed, **whole_lines},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        latex_log = main.with_suffix(".log")
        said = latex_log.read_text(encoding="utf-8", errors="replace") if latex_log.is_file() else done.stdout
        log.write_text(said, encoding="utf-8")
        complaints = find_complaints(said)
        if done.returncode and not complaints:
            complaints = [f"{command[0]} failed: {' '.join(done.stdout.split()[-30:])}"]
        if complaints:
            raise ManuscriptError(
                f"the manuscript does not build: {'; '.join(complaints)} (all that LaTeX said: {log})"
            )
        shutil.move(main.with_suffix(".pdf"), pdf)


def _latex() -> Sequence[str]:
    """Return the command that is installed here."""
    for command in (LATEXMK, TECTONIC):
        if shutil.which(command[0]):
            return command
    raise ManuscriptError(f"there is no LaTeX here (neither latexmk nor tectonic is on the PATH): {INSTALL}")


def find_complaints(log: str) -> list[str]:
    """Return what makes a build fail, from LaTeX's log: the error that it stopped at, or else all that is amiss."""
    lines = log.splitlines()
    stops = list(_stops(lines))
    return stops[:1] or list(dict.fromkeys(_flaws(lines)))


def _stops(lines: Sequence[str]) -> Iterator[str]:
    for i, line in enumerate(lines):
        if stop := re.match(r"(?:\./)?([\w./-]+\.\w+):(\d+): (.+)|! (.+)", line):
            where = f"{stop[1]}, line {stop[2]}: {stop[3]}" if stop[1] else stop[4]
            # The line in question is broken right behind an undefined macro.
            broken = next((text for text in lines[i + 1 : i + 4] if text.startswith("l.")), "")
            name = re.search(r"\\[A-Za-z]+$", broken) if "Undefined control sequence" in line else None
            yield f"{where} {name[0]}" if name else where


def _flaws(lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        if lost := re.search(r"Warning: (Reference|Citation) [`'](\S+)' .*undefined", line):
            yield f"{lost[1].lower()} {lost[2]} leads nowhere"
        elif twice := re.search(r"Warning: Label [`'](\S+)' multiply defined", line):
            yield f"label {twice[1]} is there twice"
        elif high := re.search(r"Warning: Float too large for page by ([\d.]+)pt", line):
            yield f"a float is {high[1]} points too high for its page"
        elif wide := re.match(r"Overfull \\hbox \(([\d.]+)pt too wide\) (.+)", line):
            if float(wide[1]) > WIDEST_OVERHANG:
                yield f"{wide[1]} points stick out of a column {wide[2]}"
