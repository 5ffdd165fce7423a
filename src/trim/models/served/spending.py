"""What an API was paid, and the limit beyond which it is asked no more."""

from __future__ import annotations

import json
import secrets
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter

from trim.config.serving import Price
from trim.errors import BackendError, InputError
from trim.models.served.wire import Whole, shown

Checksum = Annotated[int, Field(ge=0, lt=1 << 32)]
_ENTRY: TypeAdapter[tuple[int, int] | tuple[int, int, int]] = TypeAdapter(
    tuple[Whole, Whole, Checksum] | tuple[Whole, Whole], config={"strict": True}
)


class SpendingLimit(BackendError):
    """The next request might cost more than may be spent."""


class Ledger:
    """Tokens paid for one model, over all jobs and reruns: a folder with a file of JSON lines for each job.

    Before each request its greatest possible cost is added to what all jobs have paid and to
    what this job has under way, so one job never goes over the limit; each further job at the
    same time may, by its requests under way. Answers are counted: what an API charges for a
    request that timed out is not known.

    Parameters
    ----------
    folder
        Where the files are.
    price
        Prices and limits.
    """

    def __init__(self, folder: Path, price: Price) -> None:
        self._folder = folder
        self._price = price
        self._own = folder / f"{secrets.token_hex(8)}.jsonl"
        self._read: dict[Path, int] = {}
        self._fields: dict[Path, int] = {}
        self._paid = (0, 0)
        self._under_way = (0, 0)

    @contextmanager
    def request(self, prompt_tokens: int, output_tokens: int) -> Iterator[Callable[[int, int], None]]:
        """Reserve the most that a request can take; yield what notes down the tokens of its answer.

        Raises
        ------
        SpendingLimit
            The request might go over a limit.
        """
        most = (prompt_tokens, output_tokens)
        paid = self._look()
        tokens = tuple(sum(part) for part in zip(paid, self._under_way, most, strict=True))
        price = self._price
        if self._cost(*tokens) > price.max_cost or sum(tokens) > price.max_tokens:
            raise SpendingLimit(
                f"spending limit: {sum(paid):,} tokens for {self._cost(*paid):.4f} {price.currency} are paid "
                f"({self._folder}), and the next request might go over {price.max_tokens:,} tokens or "
                f"{price.max_cost:g} {price.currency}; raise max_cost or max_tokens to go on from here"
            )
        self._add(most, 1)
        try:
            yield self._pay
        finally:
            self._add(most, -1)

    def _cost(self, prompt_tokens: int, output_tokens: int) -> float:
        price = self._price
        return (prompt_tokens * price.input_per_million + output_tokens * price.output_per_million) / 1e6

    def _add(self, tokens: tuple[int, int], sign: int) -> None:
        self._under_way = _sum(self._under_way, (sign * tokens[0], sign * tokens[1]))

    def _pay(self, prompt_tokens: int, output_tokens: int) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._own.open("a", encoding="utf-8") as file:
            file.write(json.dumps([prompt_tokens, output_tokens, _checksum(prompt_tokens, output_tokens)]) + "\n")

    def _look(self) -> tuple[int, int]:
        """Return all that was paid; reads only what was not read before."""
        for path in self._folder.glob("*.jsonl"):
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                for line in file:
                    if line.endswith(b"\n"):  # a job that was killed may leave half a line
                        self._read[path] = self._read.get(path, 0) + len(line)
                        self._paid = _sum(self._paid, self._entry(path, line))
        return self._paid

    def _entry(self, path: Path, line: bytes) -> tuple[int, int]:
        """Read the prompt and decoded tokens of one answer; files of earlier versions have no checksums behind them."""
        try:
            prompt_tokens, output_tokens, *checksum = entry = _ENTRY.validate_json(line)
            if self._fields.setdefault(path, len(entry)) != len(entry):
                raise ValueError("as many fields as in the line before")
            if checksum and checksum[0] != _checksum(prompt_tokens, output_tokens):
                raise ValueError("another checksum")
            return prompt_tokens, output_tokens
        except ValueError:
            raise InputError(
                f"{path}: {shown(line)} is no entry of the spending ledger, which reads [prompt tokens, decoded "
                "tokens, checksum]; without it the limit cannot be kept; fix the line"
            ) from None


def _sum(first: tuple[int, int], second: tuple[int, int]) -> tuple[int, int]:
    return first[0] + second[0], first[1] + second[1]


def _checksum(prompt_tokens: int, output_tokens: int) -> int:
    return zlib.crc32(b"%d %d" % (prompt_tokens, output_tokens))
