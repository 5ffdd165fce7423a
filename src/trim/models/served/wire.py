"""The border: what a server answers is read through strict and bounded models, and nothing else of it is believed."""

from __future__ import annotations

import reprlib
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from trim.errors import BackendError
from trim.models.protocols import SEPARATOR

MOST_TOKENS = 1 << 17  # of one step, where the caller knows no closer bound


def encodable(text: Any) -> Any:
    """Join the halves of surrogate pairs, and put the sign for unreadable text where a half stands alone.

    A model stopped within a letter leaves half of one. It was written and paid for, so the step is kept.
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if isinstance(text, str) else text


Text = Annotated[str, BeforeValidator(encodable)]
Whole = Annotated[int, Field(ge=0, lt=1 << 31)]  # as wide as the step store's columns
Tokens = Annotated[list[Whole], Field(min_length=1, max_length=MOST_TOKENS)]


class Wire(BaseModel):
    """A part of an answer: no string passes for a number, no truth value for a count; other keys are left alone."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False, protected_namespaces=())


Answer = TypeVar("Answer", bound=Wire)


def read(kind: type[Answer], answer: Any, what: str) -> Answer:
    """Read an answer.

    Parameters
    ----------
    what
        Begins the sentence where the answer cannot be read.

    Raises
    ------
    BackendError
        Names the first field that is missing or wrong, and what stands there.
    """
    try:
        return kind.model_validate(answer)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"])) or "the answer"
        raise BackendError(f"{what} ({where}: {first['msg']}): {shown(first['input'])}") from None


def shown(value: Any) -> str:
    """Show a value in short, however deep or long it is."""
    try:
        return reprlib.repr(value)
    except ValueError:  # an integer of more digits than Python writes
        return f"a {type(value).__name__} too long to show"


def check_one_step(text: str, what: str) -> None:
    """Raise where a text goes on behind a blank line: the server does not stop where it is told to."""
    first, _, rest = text.partition(SEPARATOR)
    if rest.strip():
        raise BackendError(
            f"{what} goes on behind a blank line ({shown(first)}, then {shown(rest)}): "
            "the server ignores `stop`, so single steps cannot be told apart"
        )
