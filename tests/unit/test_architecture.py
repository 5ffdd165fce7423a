"""The house stands as docs/architecture.md says: who imports whom, and no file or function that is too long."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/architecture.md"
SOURCE = ROOT / "src/trim"
FOR_ALL = {"arrays", "errors", "files", "checksums", "layouts", "plugins", "progress"}
"""Modules that every room may import."""
LONGEST_FILE, LONGEST_FUNCTION = 400, 45
FOLDERS = ("src", "workflow", "benchmarks", "tests", "examples")
NO_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def files(*suffixes: str) -> list[Path]:
    return [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*")) if path.suffix in suffixes]


def stated() -> dict[str, set[str]]:
    """Read from the page's table which rooms each room imports, in the order of the table."""
    section = PAGE.read_text(encoding="utf-8").split("## Rooms")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `([\w.]+)/?` \|[^|]+\|([^|]*)\|$", section, re.MULTILINE)
    return {room.removesuffix(".py"): set(re.findall(r"\w+", imports)) for room, imports in rows}


def room_of(module: str) -> str:
    """Return the room of a module `trim.room...`: a folder, or a file beside the folders."""
    return module.split(".")[1]


def imported(path: Path) -> Iterator[str]:
    """Yield the modules of our own that a file imports, wherever it does."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("trim."))
        elif isinstance(node, ast.ImportFrom) and node.module == "trim":
            yield from (f"trim.{alias.name}" for alias in node.names if not alias.name.startswith("__"))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("trim."):
            yield str(node.module)


def arrows() -> dict[str, set[str]]:
    """Return which rooms each room imports."""
    found: dict[str, set[str]] = {}
    for path in SOURCE.rglob("*.py"):
        room = path.relative_to(SOURCE).parts[0].removesuffix(".py")
        found.setdefault(room, set()).update(room_of(module) for module in imported(path))
    return {room: others - {room} - FOR_ALL for room, others in found.items() if room not in FOR_ALL | {"__init__"}}


def test_the_page_names_every_room_and_no_other() -> None:
    assert set(stated()) == set(arrows())


@pytest.mark.parametrize("room", arrows())
def test_a_room_imports_what_the_page_says(room: str) -> None:
    assert arrows()[room] == stated()[room]


def test_a_room_imports_rooms_above_it_in_the_table_alone() -> None:
    table: Mapping[str, set[str]] = stated()
    assert table["routers"] and table["evaluation"]
    order = list(table)
    against = {(room, other) for room in order for other in table[room] if order.index(other) >= order.index(room)}
    assert against == set()


def test_what_all_may_import_imports_little() -> None:
    for name in FOR_ALL:
        assert {room_of(module) for module in imported(SOURCE / f"{name}.py")} <= FOR_ALL - {name, "files", "plugins"}


def test_results_are_read_without_what_makes_them() -> None:
    """Whoever only evaluates needs no model: so nothing under evaluation and paper imports one, or a router."""
    made = {"models", "rollout", "routers", "jobs"}
    assert not (arrows()["evaluation"] | arrows()["paper"]) & made


def lines_of_code(node: ast.AST, code: set[int]) -> int:
    """Count the lines of a function that hold code: its docstrings, and those of functions within, are none."""
    first, last = node.lineno, node.end_lineno or node.lineno  # type: ignore[attr-defined]
    documented: set[int] = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and ast.get_docstring(inner):
            documented |= set(range(inner.body[0].lineno, (inner.body[0].end_lineno or 0) + 1))
    return len(code & set(range(first, last + 1)) - documented)


def too_long(text: str, longest: int) -> dict[str, int]:
    """Return the functions of a file that have more lines of code than this."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    spans = (range(token.start[0], token.end[0] + 1) for token in tokens if token.type not in NO_CODE)
    code = {line for span in spans for line in span}
    functions = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {f.name: count for f in functions if (count := lines_of_code(f, code)) > longest}


def test_lines_of_code_are_counted_without_what_explains_them() -> None:
    text = 'def f():\n    """Say.\n\n    More.\n    """\n    # why\n\n    return """a\nb"""  # so\n'
    assert too_long(text, 2) == {"f": 3}
    assert too_long(text, 3) == {}


def test_no_file_is_too_long() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in files(".py", ".smk")}
    assert len(lengths) > 200
    assert {str(path.relative_to(ROOT)): n for path, n in lengths.items() if n > LONGEST_FILE} == {}


def test_no_function_is_too_long() -> None:
    found = {path: too_long(path.read_text(encoding="utf-8"), LONGEST_FUNCTION) for path in files(".py")}
    assert {str(path.relative_to(ROOT)): long for path, long in found.items() if long} == {}


def snippets() -> Iterator[tuple[str, str]]:
    """Yield the code on the page, each with the file that it says it is from."""
    source = ""
    pattern = r"^From \[`[^`]+`\]\(\.\./([^)]+)\):$|^```(\w+)\n(.*?)^```$"
    section = PAGE.read_text(encoding="utf-8").split("## How to add")[1]
    for named, language, code in re.findall(pattern, section, re.MULTILINE | re.DOTALL):
        source = named or source
        if language and language != "bash":
            yield source, code


@pytest.mark.parametrize(("source", "code"), list(snippets()))
def test_code_on_the_page_is_that_of_the_example(source: str, code: str) -> None:
    assert code in (ROOT / source).read_text(encoding="utf-8")


def test_every_part_of_the_example_is_on_the_page() -> None:
    shown = {ROOT / source for source, _ in snippets()}
    assert {path for path in (ROOT / "examples/own_parts/src").rglob("*.py") if path.name != "__init__.py"} <= shown


def test_what_the_page_points_at_is_there() -> None:
    """Functions and classes in backquotes stand in the file in brackets behind them."""
    text = PAGE.read_text(encoding="utf-8")
    flowing = re.sub(r"\n *", " ", text)
    pointed = re.findall(r"`([\w.]+)`(?: and `([\w.]+)`)? \(`([\w/]+\.py)`\)", flowing)
    assert len(pointed) > 20
    for *names, file in pointed:
        content = (SOURCE / file).read_text(encoding="utf-8")
        for name in filter(None, names):
            assert re.search(rf"\b{name.split('.')[-1]}\b", content), f"{name} is not in {file}"
    for file in re.findall(r"`([\w/]+\.(?:py|smk|yaml))`", text):
        assert any((ROOT / folder / file).is_file() for folder in ("", "src/trim", "workflow/rules")) or "/" not in file
