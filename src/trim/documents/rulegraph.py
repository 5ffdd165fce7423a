"""Make a page with the graph of rules from what Snakemake says of it: Mermaid, which repositories show as a picture.

snakemake --rulegraph | python -m trim.documents.rulegraph > docs/rules.md
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping

from trim.errors import InputError, one_sentence

HEAD = """# The rules of the workflow

Made by `make rules` from `snakemake --rulegraph` of the embedded experiment. An arrow goes from what makes a file to
what reads it; where a longer way says the same, it is left out.

"""


def render(dot: str) -> str:
    """Return the page.

    Parameters
    ----------
    dot
        What `snakemake --rulegraph` prints, in the language of graphviz.

    Raises
    ------
    InputError
        If there is no rule in it.
    """
    names = dict(re.findall(r'(\d+)\[label = "(\w+)"', dot))
    if not names:
        raise InputError("no rule in what was read; pass on what `snakemake --rulegraph` prints")
    arrows = {(names[a], names[b]) for a, b in re.findall(r"(\d+) -> (\d+)", dot)}
    lines = [f"    {maker} --> {reader}" for maker, reader in sorted(direct(arrows))]
    return HEAD + "\n".join(["```mermaid", "flowchart LR", *lines, "```"]) + "\n"


def direct(arrows: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Leave out arrows from a rule to itself, and every arrow beside which there is a longer way.

    Where rules wait for each other's files in a circle, nothing of the circle is left out.
    """
    after: dict[str, set[str]] = {rule: set() for arrow in arrows for rule in arrow}
    for maker, reader in arrows:
        if maker != reader:
            after[maker].add(reader)
    reached = {rule: _reached(rule, after) for rule in after}
    return {
        (maker, reader)
        for maker, readers in after.items()
        for reader in readers
        if not any(reader in reached[other] and maker not in reached[other] for other in readers - {reader})
    }


def _reached(rule: str, after: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = list(after[rule])
    while waiting:
        if (other := waiting.pop()) not in found:
            found.add(other)
            waiting += after[other]
    return found


if __name__ == "__main__":
    with one_sentence():
        print(render(sys.stdin.read()), end="")
