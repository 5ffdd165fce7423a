"""What property tests feed to readers: values of every kind that JSON has, and many that nobody would write."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

INPUTS = int(os.environ.get("TRIM_TEST_INPUTS", "60"))
"""How many malformed inputs each reader gets; `make test-endurance` asks for ten thousand."""

NUMBERS = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([2**31, -(2**31) - 1, 2**63, 10**400, -(10**30)]),
    st.floats(),
    st.sampled_from([0.5, 1.5, -0.0, 1e308, 5e-324]),
)
TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["", " ", "\x00", "\ud835", "\\boxed{", "#### 7", "1" * 5000, "a\n\nb", "NaN", "true", "0x1", "½"]),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=8,
)


def places(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the place of everything in a value, itself first."""
    yield here
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in parts:
        yield from places(part, (*here, name))


def at(value: Any, place: tuple[Any, ...]) -> Any:
    """Return what stands at a place."""
    for name in place:
        value = value[name]
    return value


def with_value(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    """Return a value with something else at one place."""
    if not place:
        return new
    first, *rest = place
    if isinstance(value, dict):
        return {**value, first: with_value(value[first], tuple(rest), new)}
    return [with_value(part, tuple(rest), new) if i == first else part for i, part in enumerate(value)]


def changed(value: Any) -> st.SearchStrategy[Any]:
    """Put a value of any kind at some place of a sound one."""
    return st.builds(lambda place, new: with_value(value, place, new), st.sampled_from(list(places(value))), VALUES)


def damaged(content: bytes) -> st.SearchStrategy[bytes]:
    """Put some bytes in place of others."""

    def replace(start: float, length: int, new: bytes) -> bytes:
        first = int(start * len(content))
        return content[:first] + new + content[first + length :]

    return st.builds(replace, st.floats(0, 1), st.integers(0, 40), st.binary(max_size=20))
