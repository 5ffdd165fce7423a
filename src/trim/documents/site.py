"""Hooks of the site (`mkdocs.yml`): links of pages, written to be read in the repository, lead on the site too.

What a page links to outside docs/ becomes a page of the site: Markdown as it is, other files as code. The page of the
command line is made of the commands themselves, and the pages of results are those that there are.
"""

from __future__ import annotations

import posixpath
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

DOCS, OUTSIDE = "docs", "repository"
COMMAND_LINE = "reference/cli.md"
LATER = {"Performance": "performance.md"}
"""Pages that are in the navigation where they are there, beside those of results."""

LINK = re.compile(r"\]\(([^)\s#]+)(#[^)\s]*)?\)")
ADDRESS = re.compile(r"[a-z]+:")
LANGUAGES = {".py": "python", ".toml": "toml", ".yaml": "yaml", ".cff": "yaml", ".jsonl": "json"}


def on_config(config: Any) -> Any:
    """Add the pages of results, and others that may be there, to the navigation."""
    docs = Path(config.docs_dir)
    for entry in config.nav:
        if isinstance(pages := entry.get("Results"), list):
            pages += [{path.stem: f"results/{path.name}"} for path in sorted(docs.glob("results/*.md"))]
            pages += [{name: page} for name, page in LATER.items() if (docs / page).is_file()]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the page of the command line, and a page for each file outside docs/ that pages link to."""
    root = Path(config.docs_dir).parent
    files.append(File.generated(config, COMMAND_LINE, content=command_line()))
    waiting = [repository_path(file.src_uri) for file in files.documentation_pages() if file.src_uri != COMMAND_LINE]
    while waiting:
        for target in linked_files(root, waiting.pop()):
            if files.get_file_from_path(site_path(target)) is None:
                files.append(outside(config, root, target))
                waiting += [target] if target.endswith(".md") else []
    return files


def on_page_markdown(markdown: str, page: Any, files: Files, config: Any) -> str:
    """Turn links to files of the repository into links to their pages; a link to a folder becomes its text."""
    here, root = page.file.src_uri, Path(config.docs_dir).parent

    def turned(found: re.Match[str]) -> str:
        target = resolved(repository_path(here), found[1])
        if ADDRESS.match(found[1]) or files.get_file_from_path(site_path(target)) is None:
            return found[0]
        return f"]({posixpath.relpath(site_path(target), posixpath.dirname(here))}{found[2] or ''})"

    for text, path in re.findall(r"(?<!!)\[([^\]\n]+)\]\(([^)\s#]+)\)", markdown):
        if not ADDRESS.match(path) and (root / resolved(repository_path(here), path)).is_dir():
            markdown = markdown.replace(f"[{text}]({path})", text)
    return LINK.sub(turned, markdown)


def command_line() -> str:
    """Return the page of the command line, as typer writes it."""
    command = [sys.executable, "-m", "typer", "trim.cli", "utils", "docs", "--name", "trim", "--title", "Command line"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def outside(config: Any, root: Path, path: str) -> File:
    """Return the page of a file outside docs/."""
    if path.endswith(".md"):
        return File.generated(config, site_path(path), abs_src_path=str(root / path))
    code = (root / path).read_text(encoding="utf-8")
    text = f"---\nsearch:\n  exclude: true\n---\n\n# {path}\n\n````{LANGUAGES.get(Path(path).suffix, '')}\n{code}````\n"
    return File.generated(config, site_path(path), content=text)


def linked_files(root: Path, page: str) -> Iterator[str]:
    """Yield the files outside docs/ to which a page of the repository links."""
    for found in LINK.finditer((root / page).read_text(encoding="utf-8")):
        target = resolved(page, found[1])
        if not ADDRESS.match(found[1]) and not target.startswith(f"{DOCS}/") and (root / target).is_file():
            yield target


def resolved(page: str, link: str) -> str:
    """Return the path, from the root of the repository, to which a page's link leads."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), link))


def site_path(path: str) -> str:
    """Return where a file of the repository is on the site, as MkDocs names sources."""
    if path.startswith(f"{DOCS}/"):
        return path.removeprefix(f"{DOCS}/")
    return f"{OUTSIDE}/{path}" if path.endswith(".md") else f"{OUTSIDE}/{path}.md"


def repository_path(source: str) -> str:
    """Return where a page of the site is in the repository."""
    return source.removeprefix(f"{OUTSIDE}/") if source.startswith(f"{OUTSIDE}/") else f"{DOCS}/{source}"
