"""The site of the pages: built without a warning, its links lead somewhere, and it fetches nothing from elsewhere."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import typer
from smoke import ROOT

from trim.cli import app

pytest.importorskip("mkdocs", reason="the packages of `make docs` are not installed")
LOADED = {"script": "src", "img": "src", "iframe": "src", "link": "href"}
NOT_LOADED = {"canonical", "next", "prev"}
"""Links of a page's head that only say what is where."""


class Page(HTMLParser):
    """What a page links to, what it loads, and the places within it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.loaded: set[str] = set()
        self.places: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.places |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.add(given["href"])
        if (name := LOADED.get(tag)) and given.get(name) and given.get("rel") not in NOT_LOADED:
            self.loaded.add(given[name])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environ = os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    found = {path: Page(path) for path in sorted(site.rglob("*.html")) if path.name != "404.html"}
    assert len(found) > 20
    return found


@pytest.mark.slow
def test_links_lead_somewhere(pages: dict[Path, Page]) -> None:
    broken = []
    for path, page in pages.items():
        for link in page.links | page.loaded:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            there = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            place = unquote(parts.fragment)
            exists = there.is_file() and (there not in pages or place in pages[there].places | {""})
            if not exists and place != "__skip":
                broken.append(f"{path.name}: {link}")
    assert broken == []


@pytest.mark.slow
def test_nothing_is_fetched_from_elsewhere(site: Path, pages: dict[Path, Page]) -> None:
    assert {link for page in pages.values() for link in page.loaded if urlsplit(link).netloc} == set()
    styles = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert len(styles) > 1000 and not re.findall(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//[^)]*", styles)


@pytest.mark.slow
def test_pages_that_are_made_of_the_code_are_whole(site: Path) -> None:
    commands = (site / "reference/cli.html").read_text(encoding="utf-8")
    assert all(f"trim {name}" in commands for name in typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    doors = (site / "reference/python.html").read_text(encoding="utf-8")
    assert {"trim.rollout.engine.steps", "trim.routers.router.StepRouter"} <= set(re.findall(r'id="([\w.]+)"', doors))
    code = (site / "repository/examples/own_parts/src/own_parts/by_position.py.html").read_text(encoding="utf-8")
    assert "quantile" in code
