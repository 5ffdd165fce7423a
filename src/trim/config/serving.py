"""The part of the config that says which models are served, and how servers are reached.

What decides a step or a score stands in the model's own section; how its server is started
or reached stands in `serving`, which changes no result and starts no rule again.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trim.config.section import Count, Section, Share

Role = Literal["weak", "strong", "prm"]


class Price(Section):
    """What an API costs, from its price list, and how much may be spent on an experiment."""

    input_per_million: float = Field(ge=0, description="price of a million prompt tokens")
    output_per_million: float = Field(ge=0, description="price of a million decoded tokens")
    currency: str = Field("USD", description="currency of prices and limit")
    max_cost: float = Field(gt=0, description="most to spend, over all jobs and reruns")
    max_tokens: Count = Field(description="most tokens to pay for, prompt and decoded, over all jobs and reruns")


class Endpoint(Section):
    """A server that already runs."""

    url: str = Field(pattern="^https?://", description="address, up to but without /v1")
    key_env: str | None = Field(None, description="environment variable that holds the API key")
    price: Price | None = Field(None, description="prices and spending limits; required for an API model")


class ServerOptions(Section):
    """How a server that the pipeline starts is placed on the GPUs of its job."""

    memory_fraction: Share | None = Field(None, description="share of each GPU's memory (--gpu-memory-utilization)")
    tensor_parallel: Count = Field(1, description="GPUs that share the model (--tensor-parallel-size)")
    gpus: tuple[int, ...] = Field((), description="GPUs the server sees, by index; none named: all of the job")
    arguments: tuple[str, ...] = Field((), description="more of the server's command line")


class Serving(Section):
    """How servers are started and reached; decides no result."""

    command: tuple[str, ...] = Field(("vllm", "serve"), description="starts a server; the model's name follows")
    environment: dict[str, str] = Field(default_factory=dict, description="added to the environment of servers")
    servers: dict[Role, ServerOptions] = Field(default_factory=dict, description="how each server is placed")
    endpoints: dict[Role, Endpoint] = Field(default_factory=dict, description="servers that already run")
    start_timeout: float = Field(1200, gt=0, description="seconds a server may take to become ready")
    request_timeout: float = Field(600, gt=0, description="seconds an answer may take")
    retry_for: float = Field(300, ge=0, description="seconds a request is tried again for (429, 5xx, time-outs)")
    concurrency: Count = Field(256, description="requests under way at one server")
