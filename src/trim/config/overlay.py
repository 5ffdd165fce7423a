"""What laying an overlay over `config.yaml` means, beyond plain merging."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from trim.config.section import Section

KEEP_NULLS = {"extra"}  # there a null says that a request goes without the key
MEANT_NULLS = {"tuning"}  # whose null is a value


def settled(content: Any, default: Any) -> Any:
    """Finish what the plain merging of an overlay into `config.yaml` leaves.

    A null removes its key, but in `extra`, and that of `tuning`. Where an overlay changes the `kind` of a model or the
    `source` of a dataset, the default's keys that the new one lacks are still there, with the default's values: they
    are removed too.
    """
    if not isinstance(content, Mapping):
        return content
    default = default if isinstance(default, Mapping) else {}
    tag = next((tag for tag in ("kind", "source") if tag in default), None)
    known = None if tag is None or content.get(tag) == default[tag] else _keys_of(tag, content.get(tag))
    return {
        key: value if key in KEEP_NULLS else settled(value, default.get(key))
        for key, value in content.items()
        if (value is not None or key in MEANT_NULLS)
        and not (known and key not in known and key in default and value == default[key])
    }


def _keys_of(tag: str, value: Any) -> set[str]:
    """Keys of the sections whose `kind` or `source` has this value."""
    sections = [s for s in Section.__subclasses__() if tag in s.model_fields]
    return {key for s in sections if value in get_args(s.model_fields[tag].annotation) for key in s.model_fields}
