"""Step model and step scorer on vLLM servers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Sequence
from functools import cache, cached_property
from typing import Any

from trim.config.models import Sampling, ServedModel, ServedPRM
from trim.errors import BackendError, RefusedRequest
from trim.models.prompts import PrefixTokenizer
from trim.models.protocols import FinishReason, Prefix, Score, Step, request_digest
from trim.models.served import vllm
from trim.models.served.client import HttpClient, Once
from trim.models.served.golden import GoldenSolution, check_scores

Connect = Callable[[], HttpClient]
"""Returns the client of a server, which is started first where need be."""


def seed_of(identity: str, prefix: Prefix, replicate: int) -> int:
    """63-bit seed of a step."""
    return int.from_bytes(request_digest(identity, prefix, replicate)[:8], "little") >> 1


def is_degenerate(text: str) -> bool:
    """Tell whether a step says nothing: empty, a rule, dashes, a lone bracket."""
    return re.search(r"[^\W_]", text) is None


async def write_step(write: Callable[[Prefix, int], Coroutine[Any, Any, Step]], prefix: Prefix, replicate: int) -> Step:
    """Have a step written, and once more where it says nothing.

    As in the released code, the model then goes on behind what it wrote first, which is
    dropped from the text while its tokens are counted.
    """
    step = await write(prefix, replicate)
    if step.finish is not FinishReason.SEPARATOR or not is_degenerate(step.text):
        return step
    rest = await write(prefix.extend(step.text), replicate)
    return Step(rest.text, step.token_ids + rest.token_ids, step.prompt_tokens, rest.finish)


class ServedStepModel:
    """A `StepModel` on a vLLM completions server.

    A prefix that fills the model's context gives an empty step that ends by length, so the
    episode ends unanswered there.
    """

    def __init__(self, spec: ServedModel, identity: str, sampling: Sampling, connect: Connect) -> None:
        self.identity = identity
        self._spec = spec
        self._sampling = sampling
        self._connect = connect

    @cached_property
    def _prompts(self) -> PrefixTokenizer:
        spec = self._spec
        return PrefixTokenizer(load_tokenizer(spec), system=spec.system, thinking=spec.thinking)

    async def step(self, prefix: Prefix, replicate: int) -> Step:
        """Write the step that follows the prefix."""
        return await write_step(self._write, prefix, replicate)

    async def _write(self, prefix: Prefix, replicate: int) -> Step:
        client = self._connect()
        prompt = sum(self._prompts.blocks(prefix), [])
        room = min(self._sampling.max_step_tokens, self._spec.max_model_len - len(prompt))
        if room < 1:
            return Step("", (), len(prompt), FinishReason.LENGTH)
        seed = seed_of(self.identity, prefix, replicate)
        request = vllm.completion_request(self._spec.name, prompt, room, self._sampling, seed)
        text, ids, finish = await client.post(
            vllm.COMPLETIONS, request, lambda answer: vllm.parse_completion(answer, len(prompt), room)
        )
        return Step(text, ids, len(prompt), finish)


class ServedStepScorer:
    """A `StepScorer` on a vLLM pooling server; the last step's probability is the score.

    Where problem and steps are longer than the PRM reads, the oldest steps are left out.

    Parameters
    ----------
    golden
        Returns solutions with the scores that this PRM is known to give. They are scored before
        anything else, and a difference is an error.
    """

    def __init__(
        self, spec: ServedPRM, identity: str, connect: Connect, golden: Callable[[], Sequence[GoldenSolution]]
    ) -> None:
        self.identity = identity
        self._spec = spec
        self._connect = connect
        self._golden = golden
        self._checked = Once(self._check)

    async def _check(self) -> None:
        client = self._connect()
        if client.looked_at is not None:  # first: to learn what is wrong with a server should not take a computation
            await client.looked_at()
        # In a thread: where they are computed, who waits for another model must not wait for that too.
        golden = await asyncio.to_thread(self._golden)
        await check_scores(self.score_steps, golden, self._spec.name)

    @cached_property
    def _prompts(self) -> PrefixTokenizer:
        spec, tokenizer = self._spec, load_tokenizer(self._spec)
        return PrefixTokenizer(
            tokenizer,
            step_tag_id=step_tag_id(spec, tokenizer),
            system=spec.system,
            keeps_separator=spec.keeps_separator,
        )

    async def score(self, prefix: Prefix, step: str) -> Score:
        """Return the probability that the step is right given the prefix."""
        await self._checked()
        values, tokens = await self.score_steps(prefix.extend(step))
        return Score(values[-1], tokens)

    async def score_steps(self, prefix: Prefix) -> tuple[list[float], int]:
        """Return the probability of every step that was read, and the number of tokens read."""
        client = self._connect()
        problem, *steps = self._prompts.blocks(prefix)
        room = self._spec.max_model_len - len(problem)
        while sum(map(len, steps)) > room and len(steps) > 1:
            del steps[0]
        prompt = sum(steps, problem)
        if len(prompt) > self._spec.max_model_len:
            raise RefusedRequest(
                f"{client.name}: a problem of {len(problem)} tokens and a step of {len(steps[0])} are more than the "
                f"PRM's max_model_len of {self._spec.max_model_len}; raise it, or lower sampling.max_step_tokens"
            )
        values = await client.post(
            vllm.POOLING,
            vllm.pooling_request(self._spec.name, prompt),
            lambda answer: vllm.parse_pooling(answer, len(steps), len(prompt)),
        )
        return values, len(prompt)


@cache
def load_tokenizer(spec: ServedModel | ServedPRM) -> Any:
    """Load the tokenizer of a served model from its folder or the hub."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(spec.name, revision=spec.revision)


def step_tag_id(spec: ServedPRM, tokenizer: Any) -> int:
    """Id of a PRM's step tag.

    Raises
    ------
    BackendError
        The tag is not one token of this tokenizer.
    """
    ids = tokenizer.encode(spec.step_tag, add_special_tokens=False)
    if len(ids) != 1:
        raise BackendError(f"{spec.name}: step_tag {spec.step_tag!r} is {len(ids)} tokens, but must be one")
    tag: int = ids[0]
    return tag
