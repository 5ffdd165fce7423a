"""Pages that name a function, class or setting of a file name one that is there."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("*.md")), ROOT / "results" / "README.md"]
POINTER = re.compile(r"`([\w/.]+\.py): ?([A-Za-z_][\w.]*)(?:\(\))?`")


def defined(body: list[ast.stmt]) -> Iterator[tuple[str, list[ast.stmt]]]:
    """Yield the names that statements define, and what stands in those that have a body."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node.body
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from ((target.id, []) for target in targets if isinstance(target, ast.Name))


def resolves(path: str, name: str) -> bool:
    """Tell whether a file of the library, or of the repository, defines a name."""
    file = next((place for place in (ROOT / "src" / "trim" / path, ROOT / path) if place.is_file()), None)
    body = ast.parse(file.read_text(encoding="utf-8")).body if file else []
    for part in name.split("."):
        found = dict(defined(body))
        if part not in found:
            return False
        body = found[part]
    return True


def test_every_pointer_of_a_page_leads_somewhere() -> None:
    pointers = [(page, *found) for page in PAGES for found in POINTER.findall(page.read_text(encoding="utf-8"))]
    assert len(pointers) > 20
    assert not [f"{page.name}: {path}: {name}" for page, path, name in pointers if not resolves(path, name)]


def test_a_pointer_into_nothing_is_found() -> None:
    assert resolves("rollout/costs.py", "Costs") and resolves("rollout/trees.py", "RolloutTrees.possible")
    assert not resolves("rollout/engine.py", "Costs") and not resolves("rollout/no_such.py", "Costs")
