"""The part of the config that says what tokens cost: the vectors of prices under which routers are compared."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from trim.config.section import Flag, Number, Section

Amount = Annotated[Number, Field(ge=0, allow_inf_nan=False)]


def _written(day: Any) -> Any:
    """Write a day that YAML has read as one; all else stays, to be checked."""
    return day.isoformat() if isinstance(day, date) else day


class DecodedPrice(Section):
    """The cost of the paper: tokens that the strong model decodes, and nothing else."""

    kind: Literal["decoded"] = "decoded"


class TokenPrice(Section):
    """Dollars per million tokens of one model."""

    input: Amount = Field(0.0, description="of what it reads")
    output: Amount = Field(0.0, description="of what it writes")


class StrongPrice(TokenPrice):
    """Dollars per million tokens of the strong model, whose cached reads may cost less."""

    cached_input: Amount | None = Field(None, description="of what it reads from a cache; null without a cache")
    minimal_prefix: Literal[1, 1024] = Field(
        1024, description="tokens of the shortest prefix that is cached (Anthropic and OpenAI: 1024)"
    )


class ApiPrice(Section):
    """What an API asks for: each call of a model reads its whole input anew, but for what is cached."""

    kind: Literal["api"] = "api"
    source: str = Field(min_length=1, description="where the prices were read")
    date: Annotated[str, BeforeValidator(_written)] = Field(min_length=1, description="when")
    weak: TokenPrice = Field(default_factory=TokenPrice, description="weak model, in dollars per million tokens")
    strong: StrongPrice = Field(description="strong model, in dollars per million tokens")
    prm: TokenPrice = Field(default_factory=TokenPrice, description="PRM, which writes nothing")


class Parameters(Section):
    """How large the models are."""

    weak: Number | None = Field(None, gt=0, description="of the weak model; null where it is trained here")
    strong: Number | None = Field(None, gt=0, description="of the strong model; null where it is trained here")
    prm: Number | None = Field(None, gt=0, description="of the PRM; null where it starts from such a model")


class FlopsPrice(Section):
    """Two floating-point operations for each parameter and token, read or written, of all three models."""

    kind: Literal["flops"] = "flops"
    cached: Flag = Field(False, description="whether no model reads twice what it has read or written before")
    parameters: Parameters = Field(default_factory=Parameters, description="numbers of parameters")


class ReadSeconds(Section):
    """How long a token takes a model that writes nothing."""

    read: Amount = Field(description="for each token that it reads")


class TokenSeconds(ReadSeconds):
    """How long a token takes a model."""

    written: Amount = Field(description="for each token that it writes")


class SecondsPrice(Section):
    """Seconds for each token, read or written, of all three models, as `benchmarks/latency.py` measures them."""

    kind: Literal["seconds"] = "seconds"
    conditions: str = Field(min_length=1, description="what they were measured under: machine, precision, company")
    cached: Flag = Field(True, description="whether no model reads twice what it has read or written before")
    weak: TokenSeconds = Field(description="weak model, in seconds")
    strong: TokenSeconds = Field(description="strong model, in seconds")
    prm: ReadSeconds = Field(description="PRM, which writes nothing, in seconds")


PriceVector = Annotated[DecodedPrice | ApiPrice | FlopsPrice | SecondsPrice, Field(discriminator="kind")]

SOURCE = (
    "docs.anthropic.com (strong, Claude 3.7 Sonnet) and deepinfra.com (weak and PRM, Qwen2.5-7B-Instruct, which is "
    "dearer than the weak model of the paper and as large as its PRM)"
)
DATE = "2025-08 (docs.anthropic.com) and without a date (deepinfra.com)"


def _api(cached_input: float | None) -> ApiPrice:
    weak, prm = TokenPrice(input=0.025, output=0.05), TokenPrice(input=0.025)
    strong = StrongPrice(input=3.0, output=15.0, cached_input=cached_input)
    return ApiPrice(source=SOURCE, date=DATE, weak=weak, strong=strong, prm=prm)


def default_prices() -> dict[str, PriceVector]:
    """Return the price vectors of an experiment that names none."""
    return {
        "decoded": DecodedPrice(),
        "api": _api(None),
        "api-cached": _api(0.3),
        "flops": FlopsPrice(),
        "flops-cached": FlopsPrice(cached=True),
    }
