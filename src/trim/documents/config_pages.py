"""Generate `config.yaml`, the configuration page and the JSON schema from the models of `trim.config`."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from trim.config.experiment import Experiment
from trim.config.section import Section

HEADER = """\
# The embedded experiment, with every key explained. Generated from src/trim/config/ by
# `trim config --write`: for an experiment of your own, leave this file as it is and put
# what differs into an overlay (see config/smoke.yaml): snakemake --configfile config/mine.yaml
"""


def render_yaml(section: BaseModel, indent: int = 0, *, comments: bool = True) -> Iterator[str]:
    """Yield the lines of a config, each key under the comment that explains it."""
    margin = " " * indent
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if comments and field.description:
            yield from (f"{margin}# {line}" for line in textwrap.wrap(field.description, 96 - indent))
        if isinstance(value, BaseModel):
            yield f"{margin}{name}:"
            yield from render_yaml(value, indent + 2, comments=comments)
        elif isinstance(value, dict) and value and isinstance(next(iter(value.values())), BaseModel):
            yield f"{margin}{name}:"
            explained: set[type] = set()
            for key, entry in value.items():
                yield f"{margin}  {key}:"
                yield from render_yaml(entry, indent + 4, comments=comments and type(entry) not in explained)
                explained.add(type(entry))
        else:
            plain = list(value) if isinstance(value, tuple) else value
            text = plain if isinstance(plain, str) else json.dumps(plain)  # JSON is YAML on one line
            yield f"{margin}{name}: {text}"


def render_config() -> str:
    """Return the content of `config.yaml`."""
    return HEADER + "\n" + "\n".join(render_yaml(Experiment())) + "\n"


def render_page() -> str:
    """Return the content of `docs/configuration.md`: a table for each section."""
    lines = [
        "# Configuration",
        "",
        "Generated from `src/trim/config/`. An overlay holds only what differs from `config.yaml`:",
        "`snakemake --configfile config/mine.yaml`. Unknown keys are errors. A key that is `null` is removed from the",
        "default, but for `tuning`, whose null is a value, and keys under `extra`. Most overlays set `datasets`,",
        "`evaluated_on`, `pair`, `prms` and `routers`; [own_parts.md](own_parts.md) has some to copy.",
    ]
    for section in dict.fromkeys(_within(Experiment)):
        lines += ["", f"## {section.__name__}", "", (section.__doc__ or "").strip(), ""]
        lines += ["| key | default | meaning |", "| --- | --- | --- |"]
        for name, field in section.model_fields.items():
            lines.append(f"| `{name}` | {_default(field)} | {field.description or ''} |")
    return "\n".join(lines) + "\n"


def _named(kind: Any) -> Iterator[type[Section]]:
    """Yield the sections that a type names."""
    if isinstance(kind, type) and issubclass(kind, Section):
        yield kind
    for part in get_args(kind):
        yield from _named(part)


def _within(section: type[Section]) -> Iterator[type[Section]]:
    """Yield a section, and those that its keys name, each before those of its own keys."""
    yield section
    for field in section.model_fields.values():
        for named in _named(field.annotation):
            yield from _within(named)


def _default(field: Any) -> str:
    if field.is_required():
        return "required"
    if field.default_factory is not None:
        links = [f"[{kind.__name__}](#{kind.__name__.lower()})" for kind in _named(field.annotation)]
        return ", ".join(dict.fromkeys(links)) or "see config.yaml"
    value = list(field.default) if isinstance(field.default, tuple) else field.default
    return f"`{json.dumps(value)}`"


def render_schema() -> str:
    """Return the content of `docs/config.schema.json`."""
    return json.dumps(Experiment.model_json_schema(), indent=1) + "\n"


GENERATED = {
    Path("config.yaml"): render_config,
    Path("docs/configuration.md"): render_page,
    Path("docs/config.schema.json"): render_schema,
}


def stale_files(root: Path) -> list[Path]:
    """Name the generated files that do not hold what the models say."""
    return [
        path
        for path, render in GENERATED.items()
        if not (root / path).exists() or (root / path).read_text(encoding="utf-8") != render()
    ]


def write_files(root: Path) -> None:
    """Write all generated files."""
    for path, render in GENERATED.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(render(), encoding="utf-8")
