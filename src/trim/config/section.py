"""What every part of the config shares."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

LARGEST_COUNT = 1_000_000_000
NAME = "[A-Za-z0-9_-]+"
LONGEST_NAME = 60
"""Of an experiment, dataset or PRM: they name files."""


def unrepeated(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Refuse a value that stands there twice."""
    if len(set(values)) < len(values):
        raise ValueError("the same value stands here twice")
    return values


def _is_path(text: str) -> str:
    if not text.strip() or any(sign in text for sign in "\0\n\r{}"):
        raise ValueError("a path must not be empty, nor hold line breaks, braces or NUL")
    if text.startswith("~"):
        raise ValueError(f"{text} is not expanded: write the path of the home folder in full")
    return text


def _is_label(text: str) -> str:
    if not text.isprintable() or not text[:1].isalnum():
        raise ValueError(
            "must begin with a letter or digit, and be one line: it stands in tables, where = begins a formula"
        )
    return text


Number = Annotated[float, Field(strict=True)]
"""Neither text nor a truth value."""


def _as_typed(value: object) -> object:
    """Read a truth value that was typed on Snakemake's command line (`--config offline=true`), which stays text."""
    return {"true": True, "false": False}.get(value.lower(), value) if isinstance(value, str) else value


Flag = Annotated[bool, Field(strict=True), BeforeValidator(_as_typed)]
"""No number, and no other text than true and false."""

Share = Annotated[float, Field(ge=0, le=1, strict=True)]
Count = Annotated[int, Field(ge=1, le=LARGEST_COUNT, strict=True)]
FilePath = Annotated[str, AfterValidator(_is_path)]
Label = Annotated[str, AfterValidator(_is_label)]


class Section(BaseModel):
    """A block of the config: unknown keys are errors, values do not change, numbers are finite and no text."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False)
