"""Pages that hold their data and ask for nothing else."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

DATA = "/*DATA*/null"
"""Where a template takes the data."""


def fill(template: str, data: Any) -> str:
    """Return a page: a template of this folder with its data."""
    text = files("trim.explorer").joinpath(template).read_text(encoding="utf-8")
    assert text.count(DATA) == 1
    return text.replace(DATA, script_safe(data))


def script_safe(data: Any) -> str:
    """Return JSON that may stand inside a script element: no text in it can end the element or open a comment."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.translate({ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"})
