"""The dialect of vLLM, all of it: command lines, requests, and what a sound answer looks like.

Written for vLLM 0.32; every answer is checked, because some wrong requests are answered
with status 200 and nothing in it (a step tag that the pooler does not know).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from trim.config.models import Sampling, ServedModel, ServedPRM
from trim.config.section import Share
from trim.config.serving import ServerOptions
from trim.errors import BackendError
from trim.models.protocols import SEPARATOR, FinishReason
from trim.models.served.wire import MOST_TOKENS, Text, Tokens, Whole, Wire, check_one_step, read, shown

COMPLETIONS, POOLING, HEALTH, VERSION, MODELS = "/v1/completions", "/pooling", "/health", "/version", "/v1/models"
ENVIRONMENT = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
# vLLM's CPU build dies of a seeded request whose prompt it reads in parts ("CPU Generator does not use offset"). So
# prompts are read whole: in batches of this many tokens, or of one prompt that is longer.
BATCHED = 16_384
SUM_TOLERANCE = 0.01  # two probabilities of a half-precision softmax; raw logits are far from it


def server_arguments(
    spec: ServedModel | ServedPRM, options: ServerOptions, port: int, step_tag_id: int | None = None
) -> list[str]:
    """Return what follows the server's command: the model, where it listens, and how it lies on the GPUs.

    Parameters
    ----------
    step_tag_id
        Id of a PRM's step tag. vLLM's default is that of Qwen2.5-Math-PRM, whatever the model.
    """
    arguments = [spec.name, "--served-model-name", spec.name, "--host", "127.0.0.1", "--port", str(port)]
    arguments += ["--max-model-len", str(spec.max_model_len)]
    if spec.revision is not None:
        arguments += ["--revision", spec.revision, "--tokenizer-revision", spec.revision]
    if isinstance(spec, ServedPRM):
        pooler = {"pooling_type": "STEP", "step_tag_id": step_tag_id, "returned_token_ids": [0, 1]}
        arguments += ["--runner", "pooling", "--pooler-config", json.dumps(pooler)]
    else:
        arguments += ["--no-enable-chunked-prefill", "--max-num-batched-tokens", str(max(BATCHED, spec.max_model_len))]
    if options.tensor_parallel > 1:
        arguments += ["--tensor-parallel-size", str(options.tensor_parallel)]
    if options.memory_fraction is not None:
        arguments += ["--gpu-memory-utilization", str(options.memory_fraction)]
    return [*arguments, *options.arguments]


def completion_request(
    model: str, prompt: Sequence[int], max_tokens: int, sampling: Sampling, seed: int
) -> dict[str, Any]:
    """Ask for one step: text and tokens up to and with the first blank line."""
    return {
        "model": model,
        "prompt": list(prompt),
        "max_tokens": max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k or -1,
        # Said explicitly: a model's generation_config.json would change the defaults (Qwen2.5: a penalty of 1.05).
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "seed": seed,
        "stop": [SEPARATOR],
        "include_stop_str_in_output": True,
        "return_token_ids": True,
    }


class Usage(Wire):
    """What vLLM counted."""

    prompt_tokens: Whole
    completion_tokens: Whole = 0


class Choice(Wire):
    """A continuation of a prompt."""

    text: Text
    token_ids: Tokens
    finish_reason: str
    stop_reason: str | int | None


class Completion(Wire):
    """The answer to a completion request."""

    choices: Annotated[list[Choice], Field(min_length=1, max_length=1)]
    usage: Usage


def parse_completion(
    answer: Any, prompt_tokens: int, most_tokens: int = MOST_TOKENS
) -> tuple[str, tuple[int, ...], FinishReason]:
    """Return text, token ids and finish of the one choice of an answer.

    Parameters
    ----------
    prompt_tokens, most_tokens
        How many tokens were sent, and how many were asked for at most.

    Raises
    ------
    BackendError
        The answer is not what was asked for.
    """
    completion = read(Completion, answer, "a completion lacks what a step needs")
    (choice,), usage = completion.choices, completion.usage
    text, ids, reason, stop = choice.text, choice.token_ids, choice.finish_reason, choice.stop_reason
    if usage.completion_tokens != len(ids) or usage.prompt_tokens != prompt_tokens or len(ids) > most_tokens:
        raise BackendError(
            f"a completion counts {usage.completion_tokens} tokens after {usage.prompt_tokens}, but holds {len(ids)} "
            f"token ids, of at most {most_tokens}, after {prompt_tokens}"
        )
    check_one_step(text, "a completion")
    if reason == "length":
        return text, tuple(ids), FinishReason.LENGTH
    if reason == "stop" and stop == SEPARATOR and text.endswith(SEPARATOR):
        return text, tuple(ids), FinishReason.SEPARATOR
    if reason == "stop" and (stop is None or isinstance(stop, int)):  # an int: a further end-of-sequence token
        return text, tuple(ids), FinishReason.END_OF_SEQUENCE
    raise BackendError(
        f"a completion ended in an unknown way: finish_reason {shown(reason)}, stop_reason {shown(stop)}"
    )


def pooling_request(model: str, prompt: Sequence[int]) -> dict[str, Any]:
    """Ask for the class probabilities at every step tag of a prompt."""
    return {"model": model, "input": list(prompt)}


class Pooled(Wire):
    """The class probabilities (wrong, right) at the step tags of one prompt."""

    data: list[Annotated[list[Share], Field(min_length=2, max_length=2)]]


class Pooling(Wire):
    """The answer to a pooling request."""

    data: Annotated[list[Pooled], Field(min_length=1, max_length=1)]
    usage: Usage


def parse_pooling(answer: Any, steps: int, prompt_tokens: int) -> list[float]:
    """Return the probability of each step to be right.

    Raises
    ------
    BackendError
        The answer does not hold one pair of probabilities for each step: never a score.
    """
    pooling = read(Pooling, answer, "a pooling answer holds no class probabilities")
    rows, tokens = pooling.data[0].data, pooling.usage.prompt_tokens
    if len(rows) != steps or tokens != prompt_tokens:
        raise BackendError(
            f"a pooling answer has {len(rows)} scores for {steps} steps and {tokens} tokens for {prompt_tokens}; "
            "was the server started with --pooler-config for STEP and the id of the step tag?"
        )
    for row in rows:
        if abs(sum(row) - 1) > SUM_TOLERANCE:
            raise BackendError(f"a pooling answer holds {row}, which are no two probabilities")
    return [right for _, right in rows]


class Served(Wire):
    """A model that a server names."""

    id: str
    max_model_len: Whole | None = None


class Catalogue(Wire):
    """The answer to the question which models are served."""

    data: list[Served]


class Version(Wire):
    """The answer to the question which vLLM this is."""

    version: str
