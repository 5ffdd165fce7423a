"""A step model behind an OpenAI-compatible chat API that continues the assistant's message."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from trim.config.models import ApiModel, Sampling
from trim.errors import BackendError, RefusedRequest
from trim.models.protocols import SEPARATOR, FinishReason, Prefix, Step
from trim.models.served.client import Once
from trim.models.served.models import Connect, seed_of, write_step
from trim.models.served.spending import Ledger
from trim.models.served.wire import MOST_TOKENS, Text, Whole, Wire, check_one_step, read, shown

CHAT = "/v1/chat/completions"
UNKNOWN_TOKEN = -1  # stands for each decoded token: an API counts its tokens, but does not name them
MESSAGE_TOKENS = 16  # more than any chat template puts around a message
# Other words of APIs for why an answer ended; `stop` says neither that nor what it stopped at.
FINISH = {
    **dict.fromkeys(("length", "max_tokens", "max_length", "max_output_tokens", "model_length"), FinishReason.LENGTH),
    **dict.fromkeys(("eos", "eos_token", "end_turn", "end_of_turn", "complete"), FinishReason.END_OF_SEQUENCE),
    **dict.fromkeys(("stop_sequence", "stop_string", "stop_str"), FinishReason.SEPARATOR),
}
UNKNOWN_KEY = "where an API takes no `seed` or `top_p`, a null in the model's `extra` leaves it out: {seed: null}"
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
        body = {key: value for key, value in (body | self._spec.extra).items() if value is not None}
        # A token is at least one byte.
        most_prompt = sum(len(message["content"].encode()) + MESSAGE_TOKENS for message in messages)
        most = self._sampling.max_step_tokens + MESSAGE_TOKENS
        with self._ledger.request(most_prompt, most) as pay:

            def parse(answer: Any) -> Step:
                pay(*paid_tokens(answer, most_prompt, most))  # first: an answer that is no step was paid for as well
                return parse_chat(answer, most)

            try:
                return await client.post(CHAT, body, parse)
            except RefusedRequest as error:
                raise BackendError(f"{error}; {UNKNOWN_KEY}") from None

    def _messages(self, prefix: Prefix) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = [{"role": "user", "content": prefix.problem_text}]
        if self._spec.system is not None:
            messages.insert(0, {"role": "system", "content": self._spec.system})
        if prefix.depth:
            messages.append({"role": "assistant", "content": "".join(prefix.steps)})
            if self._spec.prefill == "prefix":
                messages[-1]["prefix"] = True
        return messages


class Details(Wire):
    """How many of the decoded tokens were reasoning, where an API says so."""

    reasoning_tokens: Whole | None = None


class Usage(Wire):
    """What an API counted."""

    prompt_tokens: Whole
    completion_tokens: Whole
    completion_tokens_details: Details | None = None


class Part(Wire):
    """A piece of a message that comes in pieces; one that is no text holds reasoning."""

    type: str
    text: Text = ""


class Message(Wire):
    """What the model wrote, and, at some APIs, what it thought before."""

    content: Text | list[Part] | None = None
    reasoning: Any = None
    reasoning_content: Any = None

    @property
    def text(self) -> str:
        """What the model wrote, without its reasoning."""
        if isinstance(self.content, list):
            return "".join(part.text for part in self.content if part.type == "text")
        return self.content or ""


class Choice(Wire):
    """An answer, and why it ended."""

    message: Message
    finish_reason: str
    stop_reason: Any = None
    matched_stop: Any = None


class Chat(Wire):
    """The answer to a chat request."""

    choices: Annotated[list[Choice], Field(min_length=1, max_length=1)]
    usage: Usage


class Counted(Wire):
    """The part of an answer that says what it cost."""

    usage: Usage


def paid_tokens(answer: Any, most_prompt: int, most: int) -> tuple[int, int]:
    """Return the prompt and decoded tokens of an answer: at their most where it does not count them."""
    try:
        usage = read(Counted, answer, "").usage
    except BackendError:
        return most_prompt, most
    return usage.prompt_tokens, usage.completion_tokens


def parse_chat(answer: Any, most_tokens: int = MOST_TOKENS) -> Step:
    """Return the step of a chat answer; its tokens are counted, not named.

    Parameters
    ----------
    most_tokens
        How many tokens it may have.

    Raises
    ------
    BackendError
        The answer is not what was asked for.
    """
    chat = read(Chat, answer, "a chat answer lacks what a step needs")
    (choice,), usage = chat.choices, chat.usage
    text, tokens = choice.message.text, usage.completion_tokens
    if tokens > most_tokens or (text and not tokens):
        raise BackendError(f"a chat answer counts {tokens} tokens, of at most {most_tokens}, for {shown(text)}")
    finish = _finish(choice, text)
    if not text and tokens and (finish is FinishReason.LENGTH or _has_reasoned(chat)):
        raise BackendError(
            f"a chat answer spent its {tokens} tokens on reasoning and holds no text; have the model reason less, or "
            "not at all, by a key of `extra` that its API knows, or raise sampling.max_step_tokens"
        )
    check_one_step(text, "a chat answer")
    if finish is FinishReason.SEPARATOR:
        text = text.removesuffix(SEPARATOR) + SEPARATOR
    return Step(text, (UNKNOWN_TOKEN,) * tokens, usage.prompt_tokens, finish)


def _has_reasoned(chat: Chat) -> bool:
    """Tell whether the API says that tokens went into reasoning."""
    message, details = chat.choices[0].message, chat.usage.completion_tokens_details
    told = message.reasoning or message.reasoning_content or (details and details.reasoning_tokens)
    return bool(told) or isinstance(message.content, list)


def _finish(choice: Choice, text: str) -> FinishReason:
    """Tell why an answer ended, in the words of whichever API."""
    reason = choice.finish_reason.lower()
    if reason in FINISH:
        return FINISH[reason]
    if reason != "stop":
        raise BackendError(f"a chat answer ended in an unknown way: finish_reason {shown(choice.finish_reason)}")
    # vLLM and SGLang say what it stopped at. Others do not, and a text that holds nothing is then the end.
    said = [getattr(choice, key) for key in ("stop_reason", "matched_stop") if key in choice.model_fields_set]
    at_separator = SEPARATOR in said if said else bool(text)
    return FinishReason.SEPARATOR if at_separator else FinishReason.END_OF_SEQUENCE
