"""The part of the config that says which problems there are, and what they are used for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StrictInt, model_validator

from trim.config.section import Count, FilePath, Section, Share

Split = Literal["prm_train", "router_train", "dev", "test"]


class Sizes(Section):
    """How many problems each split gets."""

    prm_train: int = Field(0, ge=0, strict=True, description="problems whose rollouts train and calibrate the PRM")
    router_train: int = Field(0, ge=0, strict=True, description="problems that routers are fitted or trained on")
    dev: int = Field(
        0, ge=0, strict=True, description="problems for every choice: snapshots, thresholds, early stopping"
    )
    test: int = Field(1000, ge=0, strict=True, description="problems read once, by the evaluation")


class ArithmeticFamily(Section):
    """Multi-step arithmetic modulo 100, generated, with an exact checker."""

    source: Literal["arithmetic"] = "arithmetic"
    wording: Literal["symbols", "words"] = Field("symbols", description="how the problem is worded")
    min_steps: int = Field(5, ge=1, le=24, strict=True, description="fewest instructions of a problem")
    max_steps: int = Field(8, ge=1, le=24, strict=True, description="most instructions of a problem")
    p_multiply: Share = Field(0.3, description="mean share of multiplications; problems differ around it")
    p_subtract: Share = Field(0.36, description="share of subtractions among the other instructions")
    p_two_digits: Share = Field(0.4, description="mean share of two-digit operands; problems differ around it")
    p_spelled_out: Share = Field(0.2, description="share of steps that must be spelled out: dearer, no harder")
    # As with `where` of files, the following are no part of what rules compare unless they say something.
    answer: Literal["last", "all"] = Field(
        "last",
        exclude_if=lambda answer: answer == "last",
        description="what is asked for: the last result, where two errors can cancel, or all of them",
    )
    p_slip: Share = Field(
        0.0,
        exclude_if=lambda share: not share,
        description="share of wrong results in what language models learn from, each restated rightly by the next "
        "step: so they learn to repair the last result. The wrong ones are not learned",
    )
    p_awkward: Share | None = Field(
        None,
        exclude_if=lambda share: share is None,
        description="mean share of awkward operands: sums and differences that carry, multipliers of 7 and more; "
        "problems differ around it. null: as they fall out",
    )
    sizes: Sizes = Field(default_factory=Sizes, description="problems in each split")

    @property
    def filled_splits(self) -> set[str]:
        """Splits that get problems."""
        return {split for split, size in self.sizes if size}

    @property
    def longest_answer(self) -> int:
        """Tokens of the longest last step that lists all results; 0 where the last result alone is asked for."""
        restated = 5 if self.p_slip else 0  # "91! \\" before "boxed"
        frame = 4  # "\\boxed{}" and the end
        result = 3  # "a91"
        return restated + frame + result * self.max_steps if self.answer == "all" else 0

    @model_validator(mode="after")
    def _ordered(self) -> ArithmeticFamily:
        if self.min_steps > self.max_steps:
            raise ValueError("min_steps is greater than max_steps")
        return self


class FileDataset(Section):
    """Problems in JSON-lines files, or on the Hugging Face hub."""

    source: Literal["jsonl", "hub"]
    layout: Literal["math", "aime", "gsm8k", "olympiadbench", "processbench"] = Field(
        description="which fields hold what: `math` is that of MATH, MATH-500 and Minerva Math"
    )
    path: FilePath = Field(description="a file (jsonl), or a hub dataset name or a local copy of one (hub)")
    revision: str | None = Field(None, description="commit of the hub dataset; required unless path is a local copy")
    subset: str | None = Field(None, description="hub configuration name")
    hub_split: str = Field("test", description="split of the hub dataset to read")
    licence: str = Field("unknown", description="recorded in the manifest; changing it prepares the problems anew")
    part: Literal["train", "test"] | None = Field(
        None,
        description="half of AIME: every other year before 2000, then paper I (train) or II (test), as in the paper",
    )
    splits: dict[Split, Share] = Field(
        {"test": 1.0}, description="what the problems are used for: the share of them, by hash, that each split gets"
    )
    without: tuple[str, ...] = Field((), description="datasets whose test problems are left out here")
    repeated: Literal["refuse", "drop"] = Field("refuse", description="what to do with a problem that is there twice")
    leave_out: tuple[str, ...] = Field(
        (), description="ids of rows that cannot be used: what the source calls them, or their line where it does not"
    )
    # Not in what rules compare unless it says something: the dear stages of experiments without it must not run again.
    where: dict[str, Annotated[tuple[str | StrictInt, ...], Field(min_length=1)]] = Field(
        {},
        exclude_if=lambda wanted: not wanted,
        description="keep only rows whose field has one of these values, as text, letter by letter: {level: [1, 2, 3]}",
    )
    limit: Count | None = Field(None, description="use only the first problems, of those that are kept")

    @property
    def filled_splits(self) -> set[str]:
        """Splits that get problems."""
        return {split for split, share in self.splits.items() if share}

    @model_validator(mode="after")
    def _readable(self) -> FileDataset:
        if self.source == "hub" and self.revision is None and not Path(self.path).is_dir():
            raise ValueError(
                f"revision is missing: pin the commit of {self.path}, 40 hex digits on its hub page under 'History', "
                "or give the path of a local copy"
            )
        if self.part is not None and self.layout != "aime":
            raise ValueError("part is for layout aime alone")
        if sum(self.splits.values()) > 1 + 1e-9:
            raise ValueError("the shares in splits add up to more than 1")
        if self.layout == "processbench" and set(self.splits) != {"router_train"}:
            raise ValueError("solutions with labelled steps have no answers: their splits must be {router_train: 1}")
        return self


Dataset = Annotated[ArithmeticFamily | FileDataset, Field(discriminator="source")]
