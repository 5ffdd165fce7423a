"""The part of the config that says which routers are trained, and how."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from trim.config.section import Count, Flag, Number, Section, Share, unrepeated
from trim.names import QUERY_BASELINES, routers_of

Variant = Literal["default", "hull", "per-token"]


class KappaRange(Section):
    """Trade-offs: kappa = lambda x the strong model's mean tokens per solution."""

    lowest: Number = Field(0.02, gt=0, description="lowest kappa, near the strong model's accuracy")
    highest: Number = Field(6.0, gt=0, description="highest kappa, near weak-only")
    count: Count = Field(96, description="kappas between them, of which a sweep is chosen on dev")

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


CRITIC_WEIGHT, IMITATED_AT, FLIPPED = 0.5, 2e-3, 0.1
"""What was done before they could be set. Where they say that, no file names them: what was fitted then stays valid."""


class Ppo(Section):
    """PPO of stable-baselines3; rewards are not discounted (paper, hyperparameters of TRIM-Agg)."""

    learning_rate: Number = Field(1e-4, gt=0, description="of Adam (paper: 1e-4)")
    clip_range: Number = Field(0.2, gt=0, description="how far a policy may move in one update (paper: 0.2)")
    entropy_coefficient: Number = Field(0.01, ge=0, description="weight of the entropy bonus (paper: 0.01)")
    gae_lambda: Share = Field(0.95, description="of generalised advantage estimation (paper: 0.95)")
    critic_weight: Number = Field(
        CRITIC_WEIGHT,
        ge=0,
        exclude_if=lambda weight: weight == CRITIC_WEIGHT,
        description="weight of the critic's error beside PPO's objective (stable-baselines3: 0.5)",
    )
    imitation: int = Field(
        0,
        ge=0,
        strict=True,
        description="rounds in which a policy for all kappas (`conditioned`) first learns what the best threshold does",
    )
    imitation_learning_rate: Number = Field(
        IMITATED_AT, gt=0, exclude_if=lambda rate: rate == IMITATED_AT, description="of Adam in these rounds"
    )
    imitation_flipped: Share = Field(
        FLIPPED,
        exclude_if=lambda share: share == FLIPPED,
        description="share of decisions in these rounds that are turned round",
    )
    normalise_advantages: Flag = Field(False, description="whether advantages are standardised (paper: no)")
    annealed: Flag = Field(False, description="learning rate falls to 0, entropy bonus to a tenth (released code: yes)")
    n_envs: Count = Field(1024, description="episodes that run side by side")
    n_steps: Count = Field(8, description="decisions in each of them between two updates")
    batch_size: Count = Field(1024, description="decisions in a minibatch")
    epochs: Count = Field(4, description="passes over the decisions of an update")
    total_timesteps: Count = Field(1_000_000, description="decisions to learn from, at most")
    evaluate_every: Count = Field(5, description="updates between evaluations of the return on dev")
    patience: Count = Field(12, description="evaluations without a better return after which training stops")


def _quick_ppo(total_timesteps: int, imitation: int, imitation_learning_rate: float) -> Ppo:
    # The paper's constant rate moves too slowly for a run of a minute or two. Whole episodes stand in an update, and no
    # critic in the way of what they earned: a policy that begins as a good threshold is led away from it else. Few
    # decisions that it is shown are turned round: what they cost, PPO has to win back first. And the critic's
    # error, which is large where tokens are dear, must not move what TRIM-Seq's actor reads too.
    return Ppo(
        learning_rate=1e-3,
        annealed=True,
        entropy_coefficient=0.001,
        gae_lambda=1.0,
        critic_weight=0.02,
        n_steps=16,
        batch_size=2048,
        total_timesteps=total_timesteps,
        evaluate_every=5,
        patience=3,
        imitation=imitation,
        imitation_learning_rate=imitation_learning_rate,
        imitation_flipped=0.02,
    )


LearnedVariant = Literal["default", "conditioned", "released"]


Kappas = Annotated[tuple[Annotated[Number, Field(gt=0)], ...], Field(min_length=1), AfterValidator(unrepeated)]


VARIANTS = "variants to train; those after the first are ablations, trained on the main dataset alone"
KAPPAS = "where a policy is trained for each; they share the decisions of a training run out among them"


class AggRouter(Section):
    """TRIM-Agg: `default`, one policy a kappa by PPO alone (paper); `released`, as the official code.

    And `conditioned`, one policy for all kappas that begins as the best threshold. The others begin from nothing, with
    settings of their own in place of some of `ppo` (`PPO_ALONE`, `RELEASED_PPO` in `routers/learned/fit.py`).
    """

    variants: Annotated[tuple[LearnedVariant, ...], AfterValidator(unrepeated)] = Field(
        ("conditioned", "default"), description=VARIANTS
    )
    kappas: Kappas = Field((0.1, 0.2, 0.4, 0.8, 1.2, 1.6, 2.4, 3.2, 4.0), description=KAPPAS)
    hidden: tuple[Count, ...] = Field((128, 128), description="widths of the hidden layers (paper: 128, 128)")
    ppo: Ppo = Field(default_factory=lambda: _quick_ppo(750_000, 20, 4e-3), description="training")


class SeqRouter(Section):
    """TRIM-Seq: `default`, one policy a kappa by PPO alone (paper); `conditioned`, one for all.

    The latter begins as the best threshold; the former from nothing, with `PPO_ALONE` of `routers/learned/fit.py` in
    place of some of `ppo`.
    """

    variants: Annotated[tuple[Literal["default", "conditioned"], ...], AfterValidator(unrepeated)] = Field(
        ("conditioned",), description=VARIANTS
    )
    kappas: Kappas = Field((0.1, 0.2, 0.4, 0.8, 1.2, 1.6, 2.4, 3.2, 4.0), description=KAPPAS)
    features: Annotated[
        tuple[Literal["scores", "tokens", "strong", "draft_scores"], ...], AfterValidator(unrepeated)
    ] = Field(("scores", "tokens"), min_length=1, description="of each step (paper: scores, tokens)")
    width: Count = Field(32, description="width of the transformer")
    layers: Count = Field(1, description="number of its layers")
    heads: Count = Field(4, description="attention heads")
    ppo: Ppo = Field(default_factory=lambda: _quick_ppo(500_000, 60, 2e-3), description="training")

    @model_validator(mode="after")
    def _divides(self) -> SeqRouter:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self


class PomdpRouter(Section):
    """TRIM-POMDP: `default`, filtered and solved exactly; `released`, memoryless as the official code.

    And two ablations of `default`: `memoryless`, which forgets all scores but the draft's; `transferred`, whose
    observation model is that of the main dataset.
    """

    variants: Annotated[
        tuple[Literal["default", "released", "memoryless", "transferred"], ...], AfterValidator(unrepeated)
    ] = Field(("default", "released", "memoryless", "transferred"), description="variants")
    bins: Count = Field(25, description="bins of a PRM score")
    observed_on: str | None = Field(
        None,
        description="dataset of labelled solutions that observations are fitted to, where steps have no labels; null "
        "infers the states of steps from final answers",
    )
    first_error_below: Share = Field(
        0.35,
        description="PRM score below which a step is wrong, where steps have no labels (released code: 0.35)",
    )
    accuracy_by_step: Flag = Field(True, description="whether the weak model's accuracy depends on the position")
    closeness: Share = Field(0.4, description="`released` keeps wherever the likeliest state leads S2 by this much")


class FittedQRouter(Section):
    """Fitted Q, a router of our own: both actions' worth, regressed on the futures in the training trees."""

    variants: Annotated[tuple[Literal["default"], ...], AfterValidator(unrepeated)] = Field(
        ("default",), description="variants; none leaves it out"
    )
    hinges: Count = Field(200, description="random hinges of the history's features, in which gains are linear")
    rounds: Count = Field(4, description="improvements of the policies")
    folds: int = Field(5, ge=2, le=100, strict=True, description="parts of the problems, each decided without itself")


class EncoderTuning(Section):
    """Fine-tuning of an encoder on the outcomes of training problems."""

    epochs: Count = Field(5, description="passes over the training problems (BEST-Route: 5); dev picks the best one")
    learning_rate: Number = Field(
        3e-3, gt=0, description="AdamW (RouteLLM and BEST-Route, on pretrained encoders: 1e-5)"
    )
    batch_size: Count = Field(32, description="problems in a batch")


def _known_baselines(baselines: tuple[str, ...]) -> tuple[str, ...]:
    known = routers_of("query")
    for name in baselines:
        if name not in known:
            raise ValueError(f"there is no query-level baseline {name!r}; there are {', '.join(known)}")
    return unrepeated(baselines)


class QueryRouters(Section):
    """Baselines that decide once a problem."""

    baselines: Annotated[tuple[str, ...], AfterValidator(_known_baselines)] = Field(
        QUERY_BASELINES, min_length=1, description="which ones to fit and evaluate"
    )
    encoder: str | None = Field(
        None, description="folder or hub name of a transformers encoder that reads problems; null for the weak model"
    )
    revision: str | None = Field(None, description="hub revision of the encoder to pin")
    tuning: EncoderTuning | None = Field(
        default_factory=EncoderTuning,
        description="fine-tuning of the encoder for bert, hybrid-llm and best-route; null: it stays frozen, they are "
        "linear heads on its vectors, and the step store keeps these for replays without the encoder",
    )
    samples: Count = Field(
        1,
        description="further weak solutions of each problem, for self-verification (AutoMix: 8) and best-of-n (n up to "
        "5, as in BEST-Route)",
    )
    bins: Count = Field(8, description="bins of AutoMix's verifier (AutoMix: 8)")
    neighbours: Count = Field(20, description="training problems that Smoothie asks for each problem")


class Routers(Section):
    """Which routers are trained, on what, and how their operating points are chosen."""

    trained_on: Annotated[tuple[str, ...], AfterValidator(unrepeated)] = Field(
        ("arith", "arith-hard"), min_length=1, description="datasets on which routers are fitted"
    )
    seeds: Count = Field(1, description="training runs of each learned router")
    operating_points: int = Field(
        26,
        ge=2,
        le=10_000,
        strict=True,
        description="operating points of a sweep, chosen on the training and dev splits",
    )
    variants: Annotated[tuple[Variant, ...], AfterValidator(unrepeated)] = Field(
        ("default", "hull", "per-token"), description="variants of TRIM-Thr"
    )
    random_shares: Annotated[tuple[Share, ...], AfterValidator(unrepeated)] = Field(
        (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.75), min_length=1, description="probabilities of random-step"
    )
    kappa: KappaRange = Field(default_factory=KappaRange, description="trade-offs of the routers that look ahead")
    largest_tree: int = Field(
        2000, ge=0, strict=True, description="nodes beyond which a problem's tree is not explored in advance"
    )
    tree_budget: Count | None = Field(
        None,
        description="for slow models, in place of `largest_tree`: prefixes of a problem's tree that are explored in "
        "advance, about; training and all choices on dev stay inside, the test split does not; null for no limit",
    )
    agg: AggRouter = Field(default_factory=AggRouter, description="TRIM-Agg")
    seq: SeqRouter = Field(default_factory=SeqRouter, description="TRIM-Seq")
    pomdp: PomdpRouter = Field(default_factory=PomdpRouter, description="TRIM-POMDP")
    fitted_q: FittedQRouter = Field(default_factory=FittedQRouter, description="fitted Q")
    query: QueryRouters = Field(default_factory=QueryRouters, description="query-level baselines")
    others: dict[str, dict[str, Any]] = Field(
        {}, description="routers of other installed packages to run, by name, each with its own settings"
    )
