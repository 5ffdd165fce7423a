"""Steps written by a language model in process: rows are drawn token by token until each is a step."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from trim.config.models import Sampling
from trim.errors import RefusedRequest
from trim.models.protocols import SEPARATOR, FinishReason, Prefix, Step
from trim.models.reading import Writer
from trim.models.sampling import log_probabilities, sample, uniforms

Request = tuple[Prefix, int]
"""A prefix, and the replicate of its next step that is asked for."""


@dataclass(slots=True)
class _Row:
    """A step that is being written."""

    ticket: int
    prefix: Prefix
    draws: np.ndarray
    written: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)


class StepGenerator:
    """Writes steps with a language model; a `BatchBackend` whose requests are (prefix, replicate).

    Parameters
    ----------
    one_go
        Whether a blank line ends nothing, so that a step is all that the model writes, to its limit of tokens.
    """

    def __init__(self, reader: Writer, identity: str, sampling: Sampling, *, one_go: bool = False) -> None:
        self.reader = reader
        self.identity = identity
        self.sampling = sampling
        self._one_go = one_go
        self.batch_size = reader.batch_size
        self._tokenizer = reader.prompts.tokenizer
        ends = reader.model.generation_config.eos_token_id
        self._ends = set(ends if isinstance(ends, list) else [ends])
        self._pieces: dict[int, str] = {}
        self._rows: dict[int, _Row] = {}

    @property
    def free(self) -> int:
        """How many more requests it takes now."""
        return self.reader.free

    def bucket(self, request: Request) -> Hashable:
        """Group requests that can be written together.

        Raises
        ------
        RefusedRequest
            The model's context has no room for the step; here, so that no other request hears of it.
        """
        prefix = request[0]
        if self.reader.room(prefix) < self.sampling.max_step_tokens:
            raise RefusedRequest(
                f"a prefix of {self.reader.prompts.length(prefix)} tokens leaves no room for a step within the model's "
                f"{self.reader.max_length} tokens; lower max_steps or max_step_tokens, or take a shorter problem"
            )
        return self.reader.bucket(prefix)

    def run(self, requests: Sequence[Request]) -> list[Step]:
        """Write the steps of any number of requests, in order."""
        waiting: dict[Hashable, list[int]] = {}
        for position, request in enumerate(requests):
            waiting.setdefault(self.bucket(request), []).append(position)
        steps: dict[int, Step] = {}
        for positions in waiting.values():
            while positions or self._rows:
                taken = [positions.pop() for _ in range(min(self.free, len(positions)))]
                steps |= self.advance({position: requests[position] for position in taken[::-1]})
        return [steps[position] for position in range(len(requests))]

    @torch.inference_mode()
    def advance(self, requests: Mapping[int, Request]) -> dict[int, Step]:
        """Take these requests, by ticket, to those under way, and write until at least one step is finished.

        After an error nothing is under way any more, and other requests may follow.
        """
        try:
            for ticket, (prefix, replicate) in requests.items():
                self._open(ticket, prefix, replicate)
            return self._write()
        except Exception:
            self._rows.clear()
            self.reader.abandon()
            raise

    def _write(self) -> dict[int, Step]:
        finished: dict[int, Step] = {}
        while self._rows and not finished:
            rows, logits = self.reader.logits()
            tokens = sample(logits, self._draws(rows, logits.device), self.sampling)
            logprobs = log_probabilities(logits, tokens).tolist() if self.reader.outputs == "likelihood" else []
            for position, (number, token) in enumerate(zip(rows, tokens.tolist(), strict=True)):
                row = self._rows[number]
                row.written.append(token)
                row.logprobs += logprobs[position : position + 1]
                reason = self._finish(row.written)
                if reason is None:
                    self.reader.feed(number, token)
                else:
                    finished[row.ticket] = self._close(number, reason)
        return finished

    def _open(self, ticket: int, prefix: Prefix, replicate: int) -> None:
        tokens = self.sampling.max_step_tokens
        draws = uniforms(self.identity, prefix, replicate, tokens)
        self._rows[self.reader.open(prefix, tokens)] = _Row(ticket, prefix, draws)

    def _draws(self, rows: Sequence[int], device: torch.device) -> torch.Tensor:
        """Return each row's draw for its next token, shape (rows,)."""
        draws = [self._rows[number].draws[len(self._rows[number].written)] for number in rows]
        return torch.tensor(draws, dtype=torch.float64, device=device)

    def _finish(self, ids: list[int]) -> FinishReason | None:
        if ids[-1] in self._ends:
            return FinishReason.END_OF_SEQUENCE
        if not self._one_go and "\n" in self._piece(ids[-1]) and SEPARATOR in "".join(self._piece(i) for i in ids[-4:]):
            return FinishReason.SEPARATOR
        if len(ids) == self.sampling.max_step_tokens:
            return FinishReason.LENGTH
        return None

    def _piece(self, token: int) -> str:
        """Return the text of one token."""
        if token not in self._pieces:
            self._pieces[token] = self._tokenizer.decode([token])
        return self._pieces[token]

    def _close(self, number: int, reason: FinishReason) -> Step:
        row = self._rows.pop(number)
        kept = row.written[:-1] if reason is FinishReason.END_OF_SEQUENCE else row.written
        text: str = self._tokenizer.decode(kept, skip_special_tokens=True)
        self.reader.close(number, row.prefix.extend(text), row.written, row.logprobs)
        return Step(text, tuple(row.written), self.reader.prompts.length(row.prefix), reason)
