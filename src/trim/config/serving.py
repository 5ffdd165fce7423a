"""The part of the config that says which models are served, and how servers are reached.

What decides a step or a score stands in the model's own section; how its server is started
or reached stands in `serving`, which changes no result and starts no rule again.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from trim.config.section import Count, Number, Section, Share

Role = Literal["weak", "strong", "prm"]


# --- what a config must not hold: it is copied into results, job scripts and logs ------------

SECRET = re.compile(r"(^|[_-])(key|token|secret|password|passwd|credentials?)$", re.IGNORECASE)
PASSWORD_IN_URL = re.compile(r"://[^/\s]*@")


def _address(url: str) -> str:
    """Refuse what is no plain address of a server."""
    if PASSWORD_IN_URL.search(url):
        raise ValueError("holds a user name or password: put it into an environment variable and name that as key_env")
    parts = urlsplit(url)  # a port out of range is an error of `urlsplit` itself
    plain = re.fullmatch(r"[A-Za-z0-9._:-]+", parts.hostname or "") and re.fullmatch(r"[!-~]*", parts.path)
    if not plain or parts.query or parts.fragment or parts.port == 0:
        raise ValueError(
            "must be scheme, host, port and path alone, such as http://gpu1:8000 or https://api.example/v1"
        )
    return url


def _without_secrets(environment: dict[str, str]) -> dict[str, str]:
    """Refuse variables that are keys or passwords by their name or content."""
    for name, value in environment.items():
        if SECRET.search(name) or PASSWORD_IN_URL.search(value):
            raise ValueError(
                f"{name} looks like a secret: set it where the job starts, servers inherit its environment"
            )
    return environment


def _telling_no_secret(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse options that are keys or passwords by their name or content."""
    for argument in arguments:
        name = argument.partition("=")[0]
        if (name.startswith("-") and SECRET.search(name)) or PASSWORD_IN_URL.search(argument):
            raise ValueError(f"{name.partition('://')[0]} looks like a secret: servers take it from their environment")
    return arguments


Arguments = Annotated[tuple[str, ...], AfterValidator(_telling_no_secret)]


class Price(Section):
    """What an API costs, from its price list, and how much may be spent on an experiment."""

    input_per_million: Number = Field(ge=0, description="price of a million prompt tokens")
    output_per_million: Number = Field(ge=0, description="price of a million decoded tokens")
    currency: str = Field("USD", description="currency of prices and limit")
    max_cost: Number = Field(gt=0, description="most to spend, over all jobs and reruns")
    max_tokens: Count = Field(description="most tokens to pay for, prompt and decoded, over all jobs and reruns")


class Endpoint(Section):
    """A server that already runs."""

    url: Annotated[str, AfterValidator(_address)] = Field(
        pattern="^https?://", description="address, with or without /v1 at its end; never with a password"
    )
    key_env: str | None = Field(
        None, pattern="^[A-Za-z_][A-Za-z0-9_]*$", description="name of the environment variable that holds the API key"
    )
    price: Price | None = Field(None, description="prices and spending limits; required for an API model")


class ServerOptions(Section):
    """How a server that the pipeline starts is placed on the GPUs of its job."""

    memory_fraction: Share | None = Field(None, description="share of each GPU's memory (--gpu-memory-utilization)")
    tensor_parallel: Count = Field(1, description="GPUs that share the model (--tensor-parallel-size)")
    gpus: tuple[Annotated[int, Field(ge=0, strict=True)], ...] = Field(
        (), description="GPUs the server sees, by index; none named: all of the job"
    )
    arguments: Arguments = Field((), description="more of the server's command line, which wins over what we say")


class Serving(Section):
    """How servers are started and reached; decides no result."""

    command: Arguments = Field(("vllm", "serve"), description="starts a server; the model's name follows")
    environment: Annotated[dict[str, str], AfterValidator(_without_secrets)] = Field(
        default_factory=dict, description="added to the job's environment for servers; never keys or passwords"
    )
    servers: dict[Role, ServerOptions] = Field(default_factory=dict, description="how each server is placed")
    endpoints: dict[Role, Endpoint] = Field(default_factory=dict, description="servers that already run")
    start_timeout: Number = Field(1200, gt=0, description="seconds a server may take to become ready")
    request_timeout: Number = Field(600, gt=0, description="seconds an answer may take")
    retry_for: Number = Field(300, ge=0, description="seconds a request is tried again for (429, 5xx, time-outs)")
    concurrency: Count = Field(256, description="requests under way at one server")
