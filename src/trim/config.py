"""The one definition of an experiment's configuration.

`config.yaml`, `docs/configuration.md` and `docs/config.schema.json` are generated from
these models (`trim config --write`); a test fails when they drift. Runtime knobs
(threads, memory, partitions) are not here: they live in `profiles/`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from trim.errors import ConfigError

NAME = "[A-Za-z0-9_-]+"
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Split = Literal["prm_train", "router_train", "dev", "test"]
Variant = Literal["default", "hull", "per-token"]


class Section(BaseModel):
    """A block of the config: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


# --- problems ---------------------------------------------------------------------------


class Sizes(Section):
    """How many problems each split gets."""

    prm_train: int = Field(0, ge=0, description="problems whose rollouts train and calibrate the PRM")
    router_train: int = Field(0, ge=0, description="problems that routers are fitted or trained on")
    dev: int = Field(0, ge=0, description="problems for every choice: snapshots, thresholds, early stopping")
    test: int = Field(1000, ge=0, description="problems read once, by the evaluation")


class ArithmeticFamily(Section):
    """Multi-step arithmetic modulo 100, generated, with an exact checker."""

    source: Literal["arithmetic"] = "arithmetic"
    wording: Literal["symbols", "words"] = Field("symbols", description="how the problem is worded")
    min_steps: int = Field(5, ge=1, le=24, description="fewest instructions of a problem")
    max_steps: int = Field(8, ge=1, le=24, description="most instructions of a problem")
    p_multiply: Share = Field(0.3, description="mean share of multiplications; problems differ around it")
    p_subtract: Share = Field(0.36, description="share of subtractions among the other instructions")
    p_two_digits: Share = Field(0.4, description="mean share of two-digit operands; problems differ around it")
    p_spelled_out: Share = Field(0.2, description="share of steps that must be spelled out: dearer, no harder")
    sizes: Sizes = Field(default_factory=Sizes, description="problems in each split")

    @model_validator(mode="after")
    def _ordered(self) -> ArithmeticFamily:
        if self.min_steps > self.max_steps:
            raise ValueError("min_steps is greater than max_steps")
        return self


class FileDataset(Section):
    """Problems in JSON-lines files, or on the Hugging Face hub."""

    source: Literal["jsonl", "hub"]
    layout: Literal["math500", "aime", "gsm8k"] = Field(description="which fields hold problem and reference answer")
    path: str = Field(description="a file (jsonl), or a hub dataset name or a local copy of one (hub)")
    revision: str | None = Field(None, description="hub revision to pin")
    subset: str | None = Field(None, description="hub configuration name")
    hub_split: str = Field("test", description="split of the hub dataset to read")
    licence: str = Field("unknown", description="recorded in the manifest")
    split: Split = Field("test", description="what the problems are used for")
    limit: Count | None = Field(None, description="use only the first problems")


Dataset = Annotated[ArithmeticFamily | FileDataset, Field(discriminator="source")]


# --- models -----------------------------------------------------------------------------


class Sampling(Section):
    """How steps are sampled, in every experiment (paper's code: 0.7, 0.8, 20)."""

    temperature: float = Field(0.7, ge=0, description="0 takes the likeliest token")
    top_p: float = Field(0.8, gt=0, le=1, description="nucleus mass")
    top_k: int = Field(20, ge=0, description="0 keeps the whole vocabulary")
    max_step_tokens: Count = Field(32, description="token limit of one step")


class Architecture(Section):
    """Shape of a Qwen2 model."""

    hidden_size: Count = Field(64, description="width")
    layers: Count = Field(2, description="number of layers")
    heads: Count = Field(4, description="attention heads")
    intermediate_size: Count = Field(192, description="width of the feed-forward part")


class TrainedModel(Section):
    """A language model trained from scratch by the pipeline."""

    kind: Literal["trained"] = "trained"
    architecture: Architecture = Field(default_factory=Architecture, description="shape of the model")
    training_steps: Count = Field(2800, description="optimiser steps of the full schedule")
    batch_problems: Count = Field(16, description="problems in a batch")
    learning_rate: float = Field(3e-3, gt=0, description="AdamW, for embeddings, norms and biases")
    matrix_learning_rate: float = Field(0.011, gt=0, description="Muon, for weight matrices")
    warm_up_short: Share = Field(0.1, description="first share of the schedule, on short problems mostly")
    decay_share: Share = Field(0.4, description="last share of the schedule, where learning rates fall to zero")
    accuracy_band: tuple[Share, Share] = Field(
        (0.25, 0.45), description="aim for the accuracy of the model alone; the snapshot is picked on dev"
    )
    stop_at: Share = Field(0.35, description="dev accuracy at which training stops early")
    check_every: Count = Field(50, description="optimiser steps between looks at dev accuracy")
    check_from: Share = Field(0.7, description="share of the schedule before the first look")
    check_problems: Count = Field(200, description="dev problems of a look")


class PretrainedModel(Section):
    """A model from a folder or the hub, run by the transformers backend."""

    kind: Literal["pretrained"] = "pretrained"
    name: str = Field(description="folder or hub name")
    revision: str | None = Field(None, description="hub revision to pin")


LanguageModel = Annotated[TrainedModel | PretrainedModel, Field(discriminator="kind")]


class LikelihoodPRM(Section):
    """A PRM that reads the likelihood of a step under its own language-model head."""

    kind: Literal["likelihood"] = "likelihood"
    backbone: Literal["weak", "strong"] = Field("weak", description="which language model it starts from")
    tuning_steps: int = Field(400, ge=0, description="the quality dial: joint steps on solutions and step labels")
    learning_rate: float = Field(1e-3, gt=0, description="AdamW, for all that is not a weight matrix")
    matrix_learning_rate: float = Field(0.01, gt=0, description="Muon, for weight matrices")


class ClassifierPRM(Section):
    """A plain token classifier in the layout of Qwen2ForProcessRewardModel."""

    kind: Literal["classifier"] = "classifier"
    backbone: Literal["weak", "strong"] = Field("weak", description="which language model it starts from")
    tuning_steps: int = Field(150, ge=0, description="optimiser steps on step labels")
    learning_rate: float = Field(1e-3, gt=0, description="AdamW, for all that is not a weight matrix")
    matrix_learning_rate: float = Field(0.01, gt=0, description="Muon, for weight matrices")


PRM = Annotated[LikelihoodPRM | ClassifierPRM, Field(discriminator="kind")]


def _strong() -> TrainedModel:
    return TrainedModel(
        architecture=Architecture(hidden_size=96, layers=3, intermediate_size=256),
        training_steps=3200,
        accuracy_band=(0.8, 0.95),
        stop_at=0.88,
        check_every=100,
    )


class Pair(Section):
    """The two language models and the PRM between which routers choose."""

    name: str = Field("tiny", description="names the pair in tables")
    weak: LanguageModel = Field(default_factory=TrainedModel, description="the cheap model that drafts")
    strong: LanguageModel = Field(default_factory=_strong, description="the expensive model that regenerates")
    prm: str = Field("verifier", description="which entry of `prms` routes")
    home: str = Field(
        "arith", description="dataset on whose dev split snapshots are picked, and whose rollouts train the PRM"
    )
    device: Literal["cpu", "cuda"] = Field("cpu", description="where in-process models run; only cpu is bit-exact")
    batch_size: Count = Field(64, description="rows of every forward pass; part of what defines a step on the CPU")


# --- routers and evaluation -------------------------------------------------------------


class KappaRange(Section):
    """Trade-offs: kappa = lambda x the strong model's mean tokens per solution."""

    lowest: float = Field(0.03, gt=0, description="lowest kappa, near the strong model's accuracy")
    highest: float = Field(6.0, gt=0, description="highest kappa, near weak-only")
    count: Count = Field(48, description="kappas between them, of which a sweep is laid on dev")

    @model_validator(mode="after")
    def _ordered(self) -> KappaRange:
        if self.lowest >= self.highest:
            raise ValueError("lowest is not below highest")
        return self

    def spread(self, count: int) -> list[float]:
        """Return that many kappas, evenly apart in their logarithm."""
        ratio = self.highest / self.lowest
        return [self.lowest * ratio ** (i / max(count - 1, 1)) for i in range(count)]

    def candidates(self) -> list[float]:
        """Return all kappas of the range."""
        return self.spread(self.count)


class Ppo(Section):
    """PPO of stable-baselines3; rewards are not discounted (paper, hyperparameters of TRIM-Agg)."""

    learning_rate: float = Field(1e-4, gt=0, description="of Adam (paper: 1e-4)")
    clip_range: float = Field(0.2, gt=0, description="how far a policy may move in one update (paper: 0.2)")
    entropy_coefficient: float = Field(0.01, ge=0, description="weight of the entropy bonus (paper: 0.01)")
    gae_lambda: Share = Field(0.95, description="of generalised advantage estimation (paper: 0.95)")
    normalise_advantages: bool = Field(False, description="whether advantages are standardised (paper: no)")
    annealed: bool = Field(False, description="learning rate falls to 0, entropy bonus to a tenth (released code: yes)")
    lanes: Count = Field(1024, description="episodes that run side by side")
    steps_per_lane: Count = Field(8, description="decisions in each lane between two updates")
    batch_size: Count = Field(1024, description="decisions in a minibatch")
    epochs: Count = Field(4, description="passes over the decisions of an update")
    transitions: Count = Field(1_000_000, description="decisions to learn from, at most")
    check_every: Count = Field(10, description="updates between looks at the return on dev")
    patience: Count = Field(12, description="looks without a better return after which training stops")


def _quick_ppo(transitions: int) -> Ppo:
    # With the paper's learning rate, twenty times as many updates end at the same return.
    return Ppo(learning_rate=2e-3, annealed=True, transitions=transitions)


LearnedVariant = Literal["default", "conditioned", "released"]


class AggRouter(Section):
    """TRIM-Agg: `default`, one policy a kappa (paper); `conditioned`, one for all; `released`, as the official code."""

    variants: tuple[LearnedVariant, ...] = Field(("conditioned",), description="variants to train")
    kappas: tuple[float, ...] = Field(
        (0.1, 0.2, 0.4, 0.8, 1.2, 1.6, 2.4, 3.2, 4.0), description="where `default` and `released` train a policy each"
    )
    hidden: tuple[Count, ...] = Field((128, 128), description="widths of the hidden layers (paper: 128, 128)")
    ppo: Ppo = Field(default_factory=lambda: _quick_ppo(2_000_000), description="training")


class SeqRouter(Section):
    """TRIM-Seq: `default`, one policy a kappa (paper); `conditioned`, one for all."""

    variants: tuple[Literal["default", "conditioned"], ...] = Field(("conditioned",), description="variants to train")
    kappas: tuple[float, ...] = Field(
        (0.1, 0.2, 0.4, 0.8, 1.2, 1.6, 2.4, 3.2, 4.0), description="where `default` trains a policy each"
    )
    features: tuple[Literal["scores", "tokens", "strong", "draft_scores"], ...] = Field(
        ("scores", "tokens"), description="of each step (paper: scores, tokens)"
    )
    width: Count = Field(32, description="width of the transformer")
    layers: Count = Field(1, description="number of its layers")
    heads: Count = Field(4, description="attention heads")
    ppo: Ppo = Field(default_factory=lambda: _quick_ppo(800_000), description="training")


class PomdpRouter(Section):
    """TRIM-POMDP: `default`, filtered and solved exactly; `released`, memoryless as the official code."""

    variants: tuple[Literal["default", "released"], ...] = Field(("default", "released"), description="variants")
    bins: Count = Field(25, description="bins of a PRM score")
    accuracy_by_step: bool = Field(True, description="whether the weak model's accuracy depends on the position")
    closeness: Share = Field(0.4, description="`released` keeps wherever the likeliest state leads S2 by this much")


class EncoderTuning(Section):
    """Fine-tuning of an encoder on the outcomes of training problems."""

    epochs: Count = Field(5, description="passes over the training problems (BEST-Route: 5); dev picks the best one")
    learning_rate: float = Field(
        3e-3, gt=0, description="AdamW (RouteLLM and BEST-Route, on pretrained encoders: 1e-5)"
    )
    batch_size: Count = Field(32, description="problems in a batch")


QueryBaseline = Literal["bert", "mf", "sw", "smoothie", "automix", "automix-prm", "frugal", "hybrid-llm", "best-route"]
QUERY_BASELINES: tuple[QueryBaseline, ...] = get_args(QueryBaseline)


class QueryRouters(Section):
    """Baselines that decide once a problem."""

    baselines: tuple[QueryBaseline, ...] = Field(
        QUERY_BASELINES, min_length=1, description="which ones to fit and evaluate"
    )
    encoder: str | None = Field(
        None, description="folder or hub name of a transformers encoder that reads problems; null for the weak model"
    )
    revision: str | None = Field(None, description="hub revision of the encoder to pin")
    tuning: EncoderTuning = Field(
        default_factory=EncoderTuning, description="fine-tuning of the encoder for bert, hybrid-llm and best-route"
    )
    samples: Count = Field(
        1, description="further weak solutions of each problem, for self-verification and best-of-n (AutoMix: 8)"
    )
    bins: Count = Field(8, description="bins of AutoMix's verifier (AutoMix: 8)")
    neighbours: Count = Field(20, description="training problems that Smoothie asks for each problem")


class Routers(Section):
    """Which routers are trained, on what, and how their operating points are laid."""

    trained_on: tuple[str, ...] = Field(("arith", "arith-hard"), description="datasets on which routers are fitted")
    seeds: Count = Field(1, description="training runs of each learned router")
    operating_points: Count = Field(18, description="operating points of a sweep, laid on the training and dev splits")
    variants: tuple[Variant, ...] = Field(("default", "hull", "per-token"), description="variants of TRIM-Thr")
    random_shares: tuple[Share, ...] = Field(
        (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.75), description="probabilities of random-step"
    )
    kappa: KappaRange = Field(default_factory=KappaRange, description="trade-offs of the routers that look ahead")
    largest_tree: Count = Field(2000, description="nodes beyond which a problem's tree is not explored in advance")
    agg: AggRouter = Field(default_factory=AggRouter, description="TRIM-Agg")
    seq: SeqRouter = Field(default_factory=SeqRouter, description="TRIM-Seq")
    pomdp: PomdpRouter = Field(default_factory=PomdpRouter, description="TRIM-POMDP")
    query: QueryRouters = Field(default_factory=QueryRouters, description="query-level baselines")


class Replicates(Section):
    """How many independent samples of each problem."""

    train: Count = Field(2, description="on every split but test")
    test: Count = Field(1, description="on the test split")


class Bootstrap(Section):
    """Confidence intervals by resampling problems."""

    resamples: Count = Field(2000, description="bootstrap resamples")
    level: float = Field(0.95, gt=0, lt=1, description="confidence level")
    compared_shares: tuple[Share, ...] = Field(
        (0.1, 0.2, 0.3, 0.4, 0.5, 0.6), description="strong shares at which routers are compared pairwise"
    )


def _datasets() -> dict[str, Dataset]:
    return {
        "arith": ArithmeticFamily(p_two_digits=0.3, sizes=Sizes(prm_train=600, router_train=500, dev=400, test=1000)),
        "arith-hard": ArithmeticFamily(
            min_steps=8, max_steps=12, p_multiply=0.45, p_two_digits=0.4, sizes=Sizes(router_train=250, dev=200)
        ),
        "arith-words": ArithmeticFamily(wording="words", p_multiply=0.35),
    }


def _prms() -> dict[str, PRM]:
    return {
        "verifier": LikelihoodPRM(),
        "classifier": ClassifierPRM(),
        "sharp": LikelihoodPRM(backbone="strong", tuning_steps=0),
    }


class Experiment(Section):
    """One experiment: everything that decides its results."""

    experiment: str = Field("embedded", pattern=f"^{NAME}$", description="directory under results/")
    seed: int = Field(2026, ge=0, description="root of every random seed")
    datasets: dict[str, Dataset] = Field(default_factory=_datasets, description="the problems, by name")
    evaluated_on: tuple[str, ...] = Field(
        ("arith", "arith-hard", "arith-words"), description="datasets whose test split is evaluated"
    )
    training_mix: dict[str, float] = Field(
        default_factory=lambda: {"arith": 0.5, "arith-hard": 0.2, "arith-words": 0.3},
        description="share of each dataset in what the language models are trained on",
    )
    pair: Pair = Field(default_factory=Pair, description="the models")
    prms: dict[str, PRM] = Field(
        default_factory=_prms, description="PRMs that can be trained, by name; `pair.prm` picks the one that routes"
    )
    reported_prms: tuple[str, ...] = Field(
        ("classifier", "sharp"), description="further PRMs to train and to report on at home"
    )
    sampling: Sampling = Field(default_factory=Sampling, description="how steps are sampled")
    max_steps: Count = Field(30, description="steps after which an episode ends (paper: 30)")
    replicates: Replicates = Field(default_factory=Replicates, description="independent samples of a problem")
    routers: Routers = Field(default_factory=Routers, description="operating points")
    bootstrap: Bootstrap = Field(default_factory=Bootstrap, description="confidence intervals")
    step_store: str = Field("step_store", description="folder of the step store, shared by all experiments")
    offline: bool = Field(False, description="replay from the step store alone; a missing step is an error")

    @model_validator(mode="after")
    def _names_exist(self) -> Experiment:
        for key, names in {
            "evaluated_on": self.evaluated_on,
            "training_mix": tuple(self.training_mix),
            "routers.trained_on": self.routers.trained_on,
            "pair.home": (self.pair.home,),
        }.items():
            for name in names:
                if name not in self.datasets:
                    raise ValueError(f"{key} names {name!r}, which is not under datasets: {', '.join(self.datasets)}")
        home = self.datasets[self.pair.home]
        if not isinstance(home, ArithmeticFamily) or not home.sizes.prm_train or not home.sizes.dev:
            raise ValueError(
                f"pair.home is {self.pair.home!r}, which must be arithmetic (its steps have labels) with prm_train and "
                "dev problems"
            )
        for name in self.training_mix:
            if not isinstance(self.datasets[name], ArithmeticFamily):
                raise ValueError(f"training_mix names {name!r}, which is not arithmetic: it has no worked solutions")
        for name in self.routers.trained_on:
            source = self.datasets[name]
            if isinstance(source, ArithmeticFamily) and not (source.sizes.router_train and source.sizes.dev):
                raise ValueError(f"routers.trained_on names {name!r}, whose router_train or dev size is 0")
        for name in (self.pair.prm, *self.reported_prms):
            if name not in self.prms:
                raise ValueError(f"PRM {name!r} is not under prms: {', '.join(self.prms)}")
            backbone = self.prms[name].backbone
            if getattr(self.pair, backbone).kind != "trained":
                raise ValueError(f"PRM {name!r} starts from pair.{backbone}, which is not trained by the pipeline")
        for name in (*self.datasets, *self.prms):
            if not re.fullmatch(NAME, name) or name == "untrained":
                raise ValueError(f"{name!r} cannot name a dataset or PRM: letters, digits, - and _ only, not untrained")
        if "default" not in self.routers.variants:
            raise ValueError("routers.variants lacks 'default', which the other variants start from")
        for name in self.evaluated_on:
            dataset = self.datasets[name]
            if isinstance(dataset, ArithmeticFamily) and dataset.sizes.test == 0:
                raise ValueError(f"datasets.{name}.sizes.test is 0, but {name} is evaluated")
        return self


def parse_config(content: Mapping[str, Any]) -> Experiment:
    """Check a config and return it.

    Raises
    ------
    ConfigError
        One sentence that names each wrong key and says what is wrong with it.
    """
    if not isinstance(content, Mapping):
        raise ConfigError(f"config: expected keys with values, found a {type(content).__name__}")
    try:
        return Experiment.model_validate(dict(content))
    except ValidationError as error:
        raise ConfigError("config: " + "; ".join(_describe(e) for e in error.errors())) from None


def _describe(error: Any) -> str:
    tags = {"arithmetic", "jsonl", "hub", "trained", "pretrained", "likelihood", "classifier"}
    # The tag of a union stands third: prms.classifier.classifier.tuning_steps; the name before it may be the same.
    key = ".".join(str(part) for i, part in enumerate(error["loc"]) if i != 2 or part not in tags)
    if error["type"] == "extra_forbidden":
        return f"unknown key {key!r}; remove it, or see docs/configuration.md for the keys there are"
    if error["type"] == "missing":
        return f"key {key!r} is missing"
    message = error["msg"].removeprefix("Value error, ")
    return f"{key}: {message}" if key else message


def config_hash(section: BaseModel | Mapping[str, Any]) -> str:
    """Twelve hex digits that identify a config or a part of one."""
    content = section.model_dump(mode="json") if isinstance(section, BaseModel) else section
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
