"""What clients send and what they get: chat completions and completions, as OpenAI's API has them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trim.deploy.answering import LARGEST_SEED, Answering, ToldStep
from trim.problems.answers.boxes import solution_answer

REFUSED = {
    "tools": "tools",
    "functions": "functions",
    "response_format": "response formats",
    "logprobs": "log-probabilities",
    "top_logprobs": "log-probabilities",
    "logit_bias": "a bias on tokens",
    "stop": "stop texts",
    "suffix": "a suffix",
    "echo": "echoing the prompt",
    "audio": "audio",
}
"""Keys that change what is asked for, and that a router of steps cannot honour; null, false and empty ones are none."""

UNSUPPORTED = "unsupported_parameter"


class Refused(Exception):
    """A request that is not answered: status, one sentence, and the key that is at fault."""

    def __init__(self, status: int, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code

    def body(self) -> dict[str, Any]:
        """Return the error as OpenAI's API has it."""
        kind = "invalid_request_error" if self.status < 500 and self.status != 429 else "server_error"
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}


def failed() -> Refused:
    """Return what is said of an error of our own."""
    return Refused(500, "the server failed; its log says how", code="internal_error")


class Options(BaseModel):
    """What a client may say to the router itself: `extra_body={"trim": {...}}`."""

    model_config = ConfigDict(extra="forbid")

    max_strong_tokens: int | None = Field(None, ge=0)


class StreamOptions(BaseModel):
    """What a stream holds beside the text."""

    include_usage: bool = False


class Wish(BaseModel):
    """What both kinds of requests say; other keys are ignored, and named in the answer."""

    model_config = ConfigDict(extra="allow")

    model: str
    stream: bool = False
    stream_options: StreamOptions | None = None
    seed: int | None = Field(None, ge=-LARGEST_SEED, le=LARGEST_SEED)
    n: int | None = Field(None, ge=1)
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    trim: Options = Field(default_factory=Options)

    @property
    @abstractmethod
    def text(self) -> str:
        """The problem."""

    @property
    def most_tokens(self) -> int | None:
        """Most tokens of the answer."""
        given = [most for most in (self.max_tokens, self.max_completion_tokens) if most is not None]
        return min(given, default=None)

    @property
    def ignored(self) -> list[str]:
        """Names of the keys that change nothing here, such as the temperature: it is part of the deployed router."""
        return sorted(
            key for key, value in (self.model_extra or {}).items() if key not in REFUSED and value is not None
        )

    def check(self) -> None:
        """Refuse what a router of steps cannot do."""
        if (self.n or 1) != 1:
            raise Refused(400, "n: one answer a request; ask again with another seed", "n", UNSUPPORTED)
        for key, what in REFUSED.items():
            value = (self.model_extra or {}).get(key)
            if value and value != {"type": "text"}:
                raise Refused(400, f"{key}: a router of steps knows no {what}; leave it out", key, UNSUPPORTED)


class Part(BaseModel):
    """A piece of a message."""

    type: str
    text: str = ""


class Message(BaseModel):
    """One message of a conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None

    @property
    def text(self) -> str:
        """What it says."""
        if isinstance(self.content, list):
            if any(part.type != "text" for part in self.content):
                raise Refused(400, "messages: only text is read; leave out images, audio and files", "messages")
            return "\n\n".join(part.text for part in self.content)
        return self.content or ""


class ChatRequest(Wish):
    """A chat completion."""

    messages: list[Message] = Field(min_length=1)

    @property
    def text(self) -> str:
        """The user's message, with what system messages say before it."""
        asked = [message for message in self.messages if message.role == "user"]
        before = [message for message in self.messages if message.role in ("system", "developer")]
        if len(asked) != 1 or len(asked) + len(before) != len(self.messages) or self.messages[-1].role != "user":
            raise Refused(
                400,
                "messages: the router solves one problem a request: one user message, behind system messages if any",
                "messages",
            )
        return "\n\n".join(text for message in (*before, *asked) if (text := message.text.strip()))


class CompletionRequest(Wish):
    """A completion."""

    prompt: str | list[str]

    @property
    def text(self) -> str:
        """The prompt."""
        if isinstance(self.prompt, list):
            if len(self.prompt) != 1:
                raise Refused(400, "prompt: one problem a request", "prompt")
            return self.prompt[0].strip()
        return self.prompt.strip()


def read_request(kind: type[ChatRequest] | type[CompletionRequest], body: bytes) -> ChatRequest | CompletionRequest:
    """Read a request.

    Raises
    ------
    Refused
        Names the first key that is missing or wrong.
    """
    try:
        wish = kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or None
        raise Refused(400, f"{key or 'body'}: {first['msg']}", key) from None
    wish.check()
    return wish


# --- answers ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Form:
    """How one of the two APIs words an answer."""

    chat: bool
    prefix: str
    whole: str
    piece: str

    def choice(self, text: str, finish: str | None, *, piece: bool, first: bool = False) -> dict[str, Any]:
        """Return a choice, or the piece of one."""
        rest = {"index": 0, "logprobs": None, "finish_reason": finish}
        if not self.chat:
            return {"text": text, **rest}
        message: dict[str, Any] = {"role": "assistant"} if first or not piece else {}
        if text or not piece:
            message["content"] = text
        return {"delta" if piece else "message": message, **rest}


CHAT = Form(True, "chatcmpl", "chat.completion", "chat.completion.chunk")
COMPLETION = Form(False, "cmpl", "text_completion", "text_completion")


def usage(answering: Answering, shown: Sequence[ToldStep]) -> dict[str, int]:
    """Count tokens: those of the problem and of the steps that were sent, and what each of the three models did."""
    costs = asdict(answering.costs)
    prompt = answering.kept[0].step.prompt_tokens if answering.kept else 0
    written = sum(step.tokens for step in shown)
    return {"prompt_tokens": prompt, "completion_tokens": written, "total_tokens": prompt + written, **costs}


def told(answering: Answering, shown: Sequence[ToldStep], ignored: list[str]) -> dict[str, Any]:
    """Return what the router says of its answer: what decided, why at each step, and the seed that replays it."""
    point = answering.point
    return {
        "router": point.router,
        "variant": point.variant,
        "setting": point.setting,
        "seed": answering.seed,
        "max_strong_tokens": answering.max_strong_tokens,
        "strong_steps": sum(step.author == "strong" for step in shown),
        "prm_down": any(step.reason == "prm_down" for step in shown),
        "answer": solution_answer([step.text for step in shown]),
        "ignored": ignored,
        "steps": [step.described() for step in shown],
    }


def piece_of(step: ToldStep) -> Mapping[str, Any]:
    """Return what the router says of one step of a stream."""
    return {"step": step.described()}
