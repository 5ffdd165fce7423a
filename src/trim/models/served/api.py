"""A step model behind an OpenAI-compatible chat API that continues the assistant's message."""

from __future__ import annotations

from typing import Any

from trim.config.models import ApiModel, Sampling
from trim.errors import BackendError
from trim.models.protocols import SEPARATOR, FinishReason, Prefix, Step
from trim.models.served.client import Once
from trim.models.served.models import Connect, seed_of, write_step
from trim.models.served.spending import Ledger

CHAT = "/v1/chat/completions"
UNKNOWN_TOKEN = -1  # stands for each decoded token: an API counts its tokens, but does not name them
MESSAGE_TOKENS = 16  # more than any chat template puts around a message
# An API that begins anew says 1, one that drops the blank line says nothing.
PROBE = Prefix.of("Count from 1 to 6. Leave a blank line between the numbers.", "1\n\n", "2\n\n", "3\n\n")
PROBE_ANSWER = "4"


class ApiStepModel:
    """A `StepModel` behind a chat API.

    Before the first step the API is asked to continue a short message: one that begins
    anew instead, or that loses the blank line at its end, cannot write single steps. Where the
    API does not say whether the model stopped at a blank line or at its end, a blank line
    is assumed: a solution that was over then gives an empty next step, which is final.
    """

    def __init__(self, spec: ApiModel, identity: str, sampling: Sampling, connect: Connect, ledger: Ledger) -> None:
        self.identity = identity
        self._spec = spec
        self._sampling = sampling
        self._connect = connect
        self._ledger = ledger
        self._checked = Once(self._check)

    async def step(self, prefix: Prefix, replicate: int) -> Step:
        """Write the step that follows the prefix."""
        await self._checked()
        return await write_step(self._write, prefix, replicate)

    async def _check(self) -> None:
        client = self._connect()
        step = await self._write(PROBE, 0)
        if not step.text.strip().startswith(PROBE_ANSWER):
            raise BackendError(
                f"{client.name} ({client.url}): {self._spec.name} does not continue an assistant message with "
                f"prefill {self._spec.prefill!r}: behind 1, 2, 3 it wrote {step.text[:40]!r}; try another one"
            )

    async def _write(self, prefix: Prefix, replicate: int) -> Step:
        client = self._connect()
        messages = self._messages(prefix)
        body: dict[str, Any] = {
            "model": self._spec.name,
            "messages": messages,
            "max_tokens": self._sampling.max_step_tokens,
            "temperature": self._sampling.temperature,
            "top_p": self._sampling.top_p,
            "stop": [SEPARATOR],
            "seed": seed_of(self.identity, prefix, replicate) >> 32,  # some APIs take 31 bits
        }
        if self._spec.prefill == "continue_final_message" and prefix.depth:
            body |= {"continue_final_message": True, "add_generation_prompt": False}
        # A token is at least one byte.
        most = sum(len(message["content"].encode()) + MESSAGE_TOKENS for message in messages)
        with self._ledger.request(most, self._sampling.max_step_tokens) as paid:
            answer = await client.post(CHAT, body | self._spec.extra)
            try:
                step = parse_chat(answer)
            except BackendError as error:
                raise BackendError(f"{client.name} ({client.url}): {error}") from None
            paid(step.prompt_tokens, step.tokens)
        return step

    def _messages(self, prefix: Prefix) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = [{"role": "user", "content": prefix.problem_text}]
        if self._spec.system is not None:
            messages.insert(0, {"role": "system", "content": self._spec.system})
        if prefix.depth:
            messages.append({"role": "assistant", "content": "".join(prefix.steps)})
            if self._spec.prefill == "prefix":
                messages[-1]["prefix"] = True
        return messages


def parse_chat(answer: Any) -> Step:
    """Return the step of a chat answer; its tokens are counted, not named.

    Raises
    ------
    BackendError
        The answer is not what was asked for.
    """
    try:
        (choice,) = answer["choices"]
        text, reason = choice["message"]["content"] or "", choice["finish_reason"]
        prompt_tokens, tokens = int(answer["usage"]["prompt_tokens"]), int(answer["usage"]["completion_tokens"])
    except (KeyError, TypeError, ValueError) as error:
        raise BackendError(f"a chat answer lacks what a step needs ({error!r}): {str(answer)[:300]}") from None
    if not isinstance(text, str) or (text and tokens < 1):
        raise BackendError(f"a chat answer counts {tokens} tokens for the text {str(text)[:100]!r}")
    ids = (UNKNOWN_TOKEN,) * tokens
    if reason == "length":
        return Step(text, ids, prompt_tokens, FinishReason.LENGTH)
    if reason != "stop":
        raise BackendError(f"a chat answer ended in an unknown way: finish_reason {reason!r}")
    # vLLM says what it stopped at. Others do not, and a text that holds nothing is then the end.
    at_separator = choice["stop_reason"] == SEPARATOR if "stop_reason" in choice else bool(text)
    if at_separator:
        return Step(text.removesuffix(SEPARATOR) + SEPARATOR, ids, prompt_tokens, FinishReason.SEPARATOR)
    return Step(text, ids, prompt_tokens, FinishReason.END_OF_SEQUENCE)
