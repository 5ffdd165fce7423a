"""What an experiment at paper scale takes, estimated from the logs of the official code (data/published/).

Nothing here was measured by us. Tokens come from the logs on MATH-500 with the pair 1.5B + 7B; other datasets are
scaled by the mean length of the strong model's solutions in the paper. No step is counted as shared between routers,
though the step store shares many: the tokens are an estimate from above. Rates are assumptions.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

# Tokens a second on one GPU of 80 GB with many requests at once: decoded by the two language models, read by the PRM.
DECODED_PER_SECOND = 2_000
READ_PER_SECOND = 20_000

MIXED_SHARE = 0.3  # of the steps of the mixed rollouts, written by the strong model
# Three variants of TRIM-Thr, takeover, three of TRIM-POMDP, fitted Q at 18 settings; random-step at 8 shares; RSD.
POINTS = 18 * 8 + 8 + 1
DEV_POINTS = 19 + 18 + 18 * 4  # on dev: thresholds, and none; per-token; kappas of TRIM-POMDP's variants and fitted Q


@dataclass(frozen=True, slots=True)
class Part:
    """Problems that an experiment puts to one use: `length` times as long as those of MATH-500."""

    problems: int
    length: float
    rollouts: int = 0
    points: int = 0


@dataclass(frozen=True, slots=True)
class Need:
    """Millions of tokens: decoded by the language models, read by the strong one at its calls, read by the PRM."""

    weak: float
    strong: float
    strong_prefill: float
    prm: float

    def gpu_hours(self, *, strong_is_ours: bool) -> float:
        """Hours of one GPU at the assumed rates, without the start of servers."""
        decoded = self.weak + self.strong * strong_is_ours
        return 1e6 / 3600 * (decoded / DECODED_PER_SECOND + self.prm / READ_PER_SECOND)


def parts(published: Path) -> dict[str, list[Part]]:
    """Say what the experiments under `config/` do with which problems; sizes of datasets as in the paper."""
    import pandas as pd

    anchors = pd.read_csv(published / "anchors.csv").query("source == 'paper'").set_index("dataset")
    lengths = anchors["strong_tokens"] / anchors.loc["math500", "strong_tokens"]
    math = [Part(6750, 1, 2), Part(750, 1, 0, DEV_POINTS), Part(500, 1, 1, POINTS)]
    aime = [Part(383 * 2, lengths["aime"], 2), Part(68 * 2, lengths["aime"], 0, DEV_POINTS)]
    tested = [
        Part(int(anchors.loc[d, "problems"]), lengths[d], 1, POINTS) for d in ("aime", "olympiadbench", "minerva")
    ]
    return {"qwen_math": math, "qwen_aime": [*aime, *tested], "api_math": math}


def estimate(work: list[Part], log: pd.DataFrame) -> Need:
    """Add up the tokens of an experiment from the log of a threshold sweep on MATH-500."""
    weak_alone = log["weak_tokens"].iloc[0]
    strong_alone, steps = log["strong_tokens"].iloc[-1], log["strong_calls"].iloc[-1]
    routed = log.iloc[1:-1].mean()
    half = strong_alone / 2  # what a call reads on average, of the PRM as of the strong model

    def total(per_rollout: float, per_point: float, power: int = 1) -> float:
        """Sum over problems; twice as long a solution has twice as many steps, which read twice as much: power 2."""
        each = (p.problems * p.length**power * (p.rollouts * per_rollout + p.points * per_point) for p in work)
        return sum(each) / 1e6

    return Need(
        weak=total(weak_alone * (2 - MIXED_SHARE), routed["weak_tokens"] + routed["discarded_tokens"]),
        strong=total(strong_alone * (1 + MIXED_SHARE), routed["strong_tokens"]),
        strong_prefill=total(steps * half * (1 + MIXED_SHARE), routed["strong_calls"] * half, power=2),
        prm=total(steps * half * 3, steps * half, power=2),  # a rollout is three solutions: weak, strong, mixed
    )


def render(published: Path) -> str:
    """Return the estimates as a Markdown table."""
    import pandas as pd

    log = pd.read_csv(published / "log_math500_thr.csv")
    lines = [
        "| experiment | weak, decoded | strong, decoded | strong, read | PRM, read | GPU hours |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, work in parts(published).items():
        need = estimate(work, log)
        tokens = (need.weak, need.strong, need.strong_prefill, need.prm)
        hours = need.gpu_hours(strong_is_ours=not name.startswith("api"))
        lines.append(f"| `{name}` | " + " | ".join(f"{count:.0f} M" for count in tokens) + f" | {hours:.0f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(render(Path("data/published")), end="")
