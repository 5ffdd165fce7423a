"""The dialect of vLLM, all of it: command lines, requests, and what a sound answer looks like.

Written for vLLM 0.32; every answer is checked, because some wrong requests are answered
with status 200 and nothing in it (a step tag that the pooler does not know).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from trim.config.models import Sampling, ServedModel, ServedPRM
from trim.config.serving import ServerOptions
from trim.errors import BackendError
from trim.models.protocols import SEPARATOR, FinishReason

COMPLETIONS, POOLING, HEALTH, VERSION, MODELS = "/v1/completions", "/pooling", "/health", "/version", "/v1/models"
ENVIRONMENT = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
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


def parse_completion(answer: Any, prompt_tokens: int) -> tuple[str, tuple[int, ...], FinishReason]:
    """Return text, token ids and finish of the one choice of an answer.

    Raises
    ------
    BackendError
        The answer is not what was asked for.
    """
    try:
        (choice,) = answer["choices"]
        text, ids, reason = choice["text"], tuple(choice["token_ids"]), choice["finish_reason"]
        stop, usage = choice["stop_reason"], answer["usage"]
        counted, read = usage["completion_tokens"], usage["prompt_tokens"]
    except (KeyError, TypeError, ValueError) as error:
        raise BackendError(f"a completion lacks what a step needs ({error!r}): {_shown(answer)}") from None
    if not isinstance(text, str) or not all(type(i) is int for i in ids):
        raise BackendError(f"a completion's text or token_ids are of the wrong type: {_shown(answer)}")
    if counted != len(ids) or not ids or read != prompt_tokens:
        raise BackendError(
            f"a completion counts {counted} tokens after {read}, but holds {len(ids)} token ids after {prompt_tokens}"
        )
    if reason == "length":
        return text, ids, FinishReason.LENGTH
    if reason == "stop" and stop == SEPARATOR and text.endswith(SEPARATOR):
        return text, ids, FinishReason.SEPARATOR
    if reason == "stop" and (stop is None or type(stop) is int):  # an int: a further end-of-sequence token
        return text, ids, FinishReason.END_OF_SEQUENCE
    raise BackendError(f"a completion ended in an unknown way: finish_reason {reason!r}, stop_reason {stop!r}")


def pooling_request(model: str, prompt: Sequence[int]) -> dict[str, Any]:
    """Ask for the class probabilities at every step tag of a prompt."""
    return {"model": model, "input": list(prompt)}


def parse_pooling(answer: Any, steps: int, prompt_tokens: int) -> list[float]:
    """Return the probability of each step to be right.

    Raises
    ------
    BackendError
        The answer does not hold one pair of probabilities for each step: never a score.
    """
    try:
        (entry,) = answer["data"]
        rows = [(float(wrong), float(right)) for wrong, right in entry["data"]]
        read = answer["usage"]["prompt_tokens"]
    except (KeyError, TypeError, ValueError) as error:
        raise BackendError(f"a pooling answer holds no class probabilities ({error!r}): {_shown(answer)}") from None
    if len(rows) != steps or read != prompt_tokens:
        raise BackendError(
            f"a pooling answer has {len(rows)} scores for {steps} steps and {read} tokens for {prompt_tokens}; "
            "was the server started with --pooler-config for STEP and the id of the step tag?"
        )
    for row in rows:
        if not all(math.isfinite(p) and 0 <= p <= 1 for p in row) or abs(sum(row) - 1) > SUM_TOLERANCE:
            raise BackendError(f"a pooling answer holds {row}, which are no two probabilities")
    return [right for _, right in rows]


def _shown(answer: Any) -> str:
    return json.dumps(answer)[:300]
