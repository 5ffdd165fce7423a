"""Every command in the bash blocks of the pages: run where that is cheap, else held against what there is.

A block under `<!-- not checked: why -->` says itself why it is neither.
"""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import tomllib
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import dropwhile, groupby
from pathlib import Path
from typing import NamedTuple

import pytest
import typer
from smoke import ROOT, environment
from snakemake.cli import get_argument_parser

from trim.cli import app
from trim.config.reading import read_experiment
from trim.figures.drawings import drawings

PAGES = [
    ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "paper/README.md", "results/README.md")
] + sorted((ROOT / "docs").rglob("*.md"))
BLOCK = re.compile(r"(?:^ *<!-- not checked: (.+?) -->\n+)?^( *)```(?:bash|sh|console)\n(.*?)^ *```$", re.M | re.S)
INLINE = re.compile(r"`((?:trim|make) [^`]+)`")
RUN = {"make help", "trim config --check examples/tutorial/mine.yaml"}
"""Commands that change nothing, need nothing and take no time: they are run."""

MADE = re.compile(
    r"results/|deployed/|data/local/|data/replay/|golden/|step_store|elsewhere|\.venv|site/|trim/"
    r"|(candidates|decisions|latency|one_go)\.csv|prefixes\.parquet|(config/)?mine\.(yaml|jsonl)"
)
"""Paths that commands on the pages or the reader make; `trim/` is a checkout in a folder of the reader's."""

FILE = re.compile(r"[\w./-]*(/|\.(py|yaml|json|jsonl|csv|parquet|md|toml))[\w./-]*")


class Command(NamedTuple):
    """A command on a page: where it stands, its words, and why it is not to be checked."""

    place: str
    words: tuple[str, ...]
    why_not: str


def commands(text: str, page: str = "") -> Iterator[Command]:
    """Yield the commands of a page; pipes and lists of commands are taken apart, settings before them left out."""
    for found in BLOCK.finditer(text):
        line = text.count("\n", 0, found.start(3)) + 1
        for part in re.split(r"(?<!\\)\n", found[3]):
            lexer = shlex.shlex(part.replace("\\\n", " "), posix=True, punctuation_chars=True)
            lexer.whitespace_split = True
            for is_end, words in groupby(lexer, key=lambda word: set(word) <= set("|&;")):
                command = tuple(dropwhile(re.compile(r"\w+=").match, words))
                if command and not is_end:
                    yield Command(f"{page}:{line}", command, found[1] or "")
            line += part.count("\n") + 1


def of_pages() -> list[Command]:
    return [
        command for page in PAGES for command in commands(page.read_text(encoding="utf-8"), str(page.relative_to(ROOT)))
    ]


# --- what a command of each program must agree with --------------------------------------


def check_files(words: Sequence[str]) -> None:
    """Files that are named are there, or are such as commands and readers make."""
    for word in words:
        path = word.partition("=")[2] if word.startswith("-") else word
        if FILE.fullmatch(path) and not MADE.match(path):
            assert (ROOT / path).exists(), f"no {path} here"


def check_trim(words: Sequence[str]) -> None:
    """The command line accepts it; what would run is left out."""
    ran: list[str] = []
    parsed(words[1:], ran)
    assert ran or "--help" in words
    check_files(words[2:])


def parsed(words: Sequence[str], ran: list[str]) -> None:
    """Have typer read a command of `trim`, and note in `ran` the one that would run."""

    def stub(command: typer.core.TyperCommand) -> None:
        command.callback = lambda **given: ran.append(str(command.name))

    groups = [typer.main.get_command(app)]
    for group in groups:
        for command in group.commands.values():  # type: ignore[attr-defined]
            groups.append(command) if hasattr(command, "commands") else stub(command)
    groups[0].main(list(words), prog_name="trim", standalone_mode=False)


def check_snakemake(words: Sequence[str]) -> None:
    """Snakemake knows the options, and the workflow the configs, rules and files that are asked for."""
    given = get_argument_parser().parse_args(words[1:])
    for path in given.configfile or []:
        assert (ROOT / path).is_file() or re.match(r"(config/)?mine\.yaml|trim/", str(path)), f"no config {path}"
    text = workflow()
    rules = set(re.findall(r"^(?:rule|checkpoint) (\w+):", text, re.MULTILINE))
    for wanted in [*given.targets, *(given.forcerun or []), *(given.until or [])]:
        known = wanted in rules or Path(wanted).name in text
        if "/figures/" in wanted:
            known = Path(wanted).stem in drawings(read_experiment(ROOT, given.configfile or []))
        assert known, f"no rule {wanted}, and none that makes it"


@cache
def workflow() -> str:
    files = [ROOT / "Snakefile", *sorted((ROOT / "workflow/rules").glob("*.smk"))]
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def check_make(words: Sequence[str]) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for word in words[1:]:
        name, assigned, _ = word.partition("=")
        pattern = rf"\$\({name}\)|findstring --config,\$\({name}\)" if assigned else rf"^{name}:"
        assert re.search(pattern, makefile, re.MULTILINE), f"the Makefile has no {name}"


def check_python(words: Sequence[str]) -> None:
    """Module or script are there, and its options stand in its text."""
    assert len(words) > 1, "nothing to run"
    if words[1] == "-m":
        spec = importlib.util.find_spec(words[2])
        assert spec and spec.origin, f"no module {words[2]}"
        main = Path(spec.origin).with_name("__main__.py")
        source, given = main if spec.submodule_search_locations else Path(spec.origin), words[3:]
    else:
        source, given = ROOT / words[1], words[2:]
    text = source.read_text(encoding="utf-8")
    if "add_options(" in text:  # which benchmarks share
        text += (ROOT / "benchmarks/common.py").read_text(encoding="utf-8")
    for option in (word.partition("=")[0] for word in given if word.startswith("--")):
        assert f'"{option}"' in text, f"{source.name} has no {option}"
    check_files(given)


def check_pytest(words: Sequence[str]) -> None:
    for word in words[1:]:
        assert not word.startswith("tests") or (ROOT / word).exists(), f"no {word}"
    if "-m" in words:
        markers = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["markers"]
        wanted = set(re.findall(r"\w+", words[words.index("-m") + 1])) - {"not", "and", "or"}
        assert wanted <= {marker.partition(":")[0] for marker in markers}


def check_pip(words: Sequence[str]) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for word in words[1:]:
        if asked := re.fullmatch(r"\.\[([\w,]+)\]", word):
            assert set(asked[1].split(",")) <= set(extras)
        elif "/" in word:
            assert (ROOT / word / "pyproject.toml").is_file(), f"{word} is no package"


def check_grep(words: Sequence[str]) -> None:
    """A claim that is looked up is one of the registry's."""
    if words[-1].endswith("claims.csv"):
        keys = (ROOT / "data/published/claims.csv").read_text(encoding="utf-8")
        key = re.fullmatch(r"\^([\w-]+),", words[1])
        assert key and f"\n{key[1]}," in keys
    check_files(words[2:])


def check_cd(words: Sequence[str]) -> None:
    assert len(words) == 2


def check_kill(words: Sequence[str]) -> None:
    assert words[1:] == ("$!",)


def check_source(words: Sequence[str]) -> None:
    assert words[1:] == (".venv/bin/activate",)


def check_export(words: Sequence[str]) -> None:
    assert all(re.match(r"\w+=", word) for word in words[1:])


CHECKS: dict[str, Callable[[Sequence[str]], None]] = {
    "trim": check_trim,
    "snakemake": check_snakemake,
    "make": check_make,
    "python": check_python,
    "pytest": check_pytest,
    "pip": check_pip,
    "grep": check_grep,
    "cut": check_files,
    "cd": check_cd,
    "kill": check_kill,
    "source": check_source,
    "export": check_export,
}


def check(command: Command, folder: Path) -> None:
    """Run a command, or hold it against what there is."""
    said = shlex.join(command.words)
    if said in RUN:
        subprocess.run(command.words, cwd=ROOT, env=environment(ROOT), check=True, capture_output=True, timeout=300)
    elif command.words[0] == "mkdir":
        subprocess.run(command.words, cwd=folder, check=True)
    else:
        assert command.words[0] in CHECKS, f"nothing checks {command.words[0]}; say `<!-- not checked: why -->`"
        CHECKS[command.words[0]](command.words)


@pytest.mark.parametrize("command", of_pages(), ids=lambda command: f"{command.place} {shlex.join(command.words)[:60]}")
def test_a_command_on_a_page_works(command: Command, tmp_path: Path) -> None:
    if command.why_not:
        assert len(command.why_not.split()) > 2, "say why, in a few words"
    else:
        check(command, tmp_path)


def test_commands_are_found() -> None:
    text = "```bash\nmake a B=1   # said\nX=1 trim b | grep c &\n\n# nothing\ntrim d \\\n  -e\n```\n"
    assert [command.words for command in commands(text)] == [
        ("make", "a", "B=1"),
        ("trim", "b"),
        ("grep", "c"),
        ("trim", "d", "-e"),
    ]
    marked = "<!-- not checked: it needs root -->\n\n```bash\napt-get x\n```\n\n```bash\nls\n```\n"
    assert [command.why_not for command in commands(marked)] == ["it needs root", ""]
    assert len(of_pages()) > 40 and RUN <= {shlex.join(command.words) for command in of_pages()}


@pytest.mark.parametrize(
    "line",
    [
        "trim calibrate --bugdet 20%",
        "trim calibrate --configfile config/no_such.yaml",
        "trim no-such-command",
        "snakemake --no-such-option",
        "snakemake no_such_rule",
        "snakemake --configfile config/no_such.yaml",
        "snakemake results/embedded/tables/no_such.csv",
        "snakemake results/embedded/figures/no_such.png",
        "make no-such-target",
        "make bench NO_SUCH=1",
        "python benchmarks/no_such.py",
        "python -m trim.debug --no-such-option",
        "pytest tests/no_such",
        "pytest -m no_such",
        "pip install .[no_such]",
        "grep '^no-such-claim,' results/embedded/tables/claims.csv",
        "source elsewhere/activate",
        "no-such-program",
    ],
)
def test_a_wrong_command_is_noticed(line: str, tmp_path: Path) -> None:
    [command] = commands(f"```bash\n{line}\n```\n")
    with pytest.raises((AssertionError, OSError, SystemExit, typer._click.exceptions.UsageError)):
        check(command, tmp_path)


def test_commands_within_sentences_have_names_that_exist() -> None:
    known = {"trim": set(), "make": set(re.findall(r"^([a-z.-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))}
    known["trim"] = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    found = [
        (page.name, *said.split()[:2]) for page in PAGES for said in INLINE.findall(page.read_text(encoding="utf-8"))
    ]
    assert len(found) > 30
    assert [entry for entry in found if entry[2] not in known[entry[1]] and "=" not in entry[2]] == []
