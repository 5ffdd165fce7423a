"""A language model: it works the arithmetic problems out, without a mistake and without a weight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from trim.config.section import Section
from trim.models.model_kinds import ModelKind, Opening
from trim.models.protocols import SEPARATOR, FinishReason, Prefix, Step


class CalculatorModel(Section):
    """Its block under `pair.weak` or `pair.strong` in the config; `kind` tells it from the others."""

    kind: Literal["calculator"] = "calculator"


KIND = ModelKind(CalculatorModel, open="own_parts.calculator:open_calculator")


@dataclass(frozen=True, slots=True)
class Calculator:
    """Writes the steps of the right solution, whatever stands before; tokens are characters.

    Attributes
    ----------
    identity
        What a stored step is valid for: to be changed whenever other steps would be written.
    """

    identity: str

    async def step(self, prefix: Prefix, replicate: int) -> Step:
        """Write the step that follows; it must be the same each time for the same prefix and replicate."""
        from trim.problems.arithmetic import parse_program

        steps = parse_program(prefix.problem_text).steps()
        text = steps[min(prefix.depth, len(steps) - 1)]
        finish = FinishReason.SEPARATOR if text.endswith(SEPARATOR) else FinishReason.END_OF_SEQUENCE
        return Step(text, tuple(text.encode()), sum(len(node.text) for node in prefix.lineage()), finish)


def open_calculator(spec: CalculatorModel, opening: Opening) -> Calculator:
    """Open it; a model with weights would put off loading them to its first step."""
    return Calculator("calculator 1")
