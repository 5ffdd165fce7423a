"""The one table of figures. The Snakefile reads it, so nothing that draws is imported here.

An installed package adds its own figures through the entry point group `trim.figures`: each entry is a `FigureSpec`.
"""

from __future__ import annotations

from typing import Any

from trim.config.experiment import Experiment
from trim.errors import ConfigError
from trim.figures.labels import compared_prms, judged_by_answers, known_of_oracles
from trim.figures.spec import FigureSpec, Reads, tables
from trim.plugins import added

PUBLISHED = {"paper": ("figure6", "anchors"), "log": ("log_math500_thr", "log_math500_pomdp")}
"""Tables of the points that others published, by `pair.published`."""


def figures() -> dict[str, FigureSpec]:
    """Return all kinds of figures by name; those of other packages last.

    Raises
    ------
    ConfigError
        If a package registers something else, or takes a name that there is.
    """
    table = {spec.name: spec for spec in _BUILT_IN}
    for entry, spec in added("trim.figures").items():
        if not isinstance(spec, FigureSpec):
            raise ConfigError(f"trim.figures: {entry!r} is a {type(spec).__name__}, not a FigureSpec")
        if spec.name in table:
            raise ConfigError(f"trim.figures: {entry!r} draws {spec.name!r}, which another figure is called already")
        table[spec.name] = spec
    return table


# --- what the built-in ones read, and what the config says to them ----------------------


def _with_published(experiment: Experiment, dataset: str) -> dict[str, str | list[str]]:
    published = [f"data/published/{name}.csv" for name in PUBLISHED.get(experiment.pair.published or "", ())]
    return {"curves": f"{experiment.results}/tables/curves.csv", "published": published}


def _solved(variant: str) -> Reads:
    return lambda experiment, source: {"solved": f"{experiment.results}/routers/trim-pomdp/{source}/{variant}.0"}


def _learned_runs(experiment: Experiment, trained_on: str) -> dict[str, list[str]]:
    routers, on_main = experiment.routers, trained_on == experiment.main_dataset
    asked = {"trim-agg": routers.agg.variants, "trim-seq": routers.seq.variants}
    return {
        "runs": [
            f"{experiment.results}/routers/{router}/{trained_on}/{variant}.{run}"
            for router, variants in asked.items()
            for variant in variants[: None if on_main else 1]  # the others are ablations
            for run in range(routers.seeds)
        ]
    }


def _agg_and_scores(experiment: Experiment, trained_on: str) -> dict[str, str]:
    variant = experiment.routers.agg.variants[0]
    return {
        "policies": f"{experiment.results}/routers/trim-agg/{trained_on}/{variant}.0",
        "scores": f"{experiment.results}/scores/{experiment.pair.prm}/{trained_on}.router_train.parquet",
    }


def _all_evaluated(experiment: Experiment) -> dict[str, Any]:
    return {"datasets": list(experiment.evaluated_on), "trained_on": experiment.routers.trained_on[0]}


def _all_datasets(experiment: Experiment) -> dict[str, Any]:
    return {"datasets": list(experiment.evaluated_on), "trained_on": list(experiment.routers.trained_on)}


_BUILT_IN = (
    FigureSpec(
        name="accuracy_vs_cost",
        draw="trim.figures.accuracy_vs_cost:draw_beside_published",
        scope="evaluated",
        reads=_with_published,
        category="Main results",
        title="accuracy against cost",
        caption=(
            "Accuracy against strong tokens per problem, on the right at low budgets alone. Bands are bootstrap "
            "intervals over problems; hollow marks, where there are any, are points that others published with the "
            "same models; dashed lines are the two models alone; the dotted straight line sends whole problems to the "
            "strong model at random. Perfect information is what a stepwise router could do with these two models that "
            "knew how every continuation ends, and spent nothing after a wrong step was kept: a reference, a little "
            "below the true optimum; its curve ends where one more right answer would cost more than two solutions of "
            "the strong model."
        ),
        settings=lambda experiment: {"whose": experiment.pair.published},
        note=known_of_oracles,
    ),
    FigureSpec(
        name="stepwise_vs_query",
        draw="trim.figures.stepwise_vs_query:draw",
        scope="evaluated",
        reads=tables("curves", "main"),
        category="Main results",
        title="steps against whole problems",
        caption=(
            "Routing steps against routing whole problems. Left: the TRIM routers, three query-level baselines (best "
            "ΔIBC), others in grey; bands are bootstrap intervals; dotted: whole problems at random. Right: ΔIBC. "
            "Strong tokens alone do not compare baselines that sample the weak model more than once (AutoMix, "
            "BEST-Route): prices.csv and the figures of accuracy against cost share do."
        ),
    ),
    FigureSpec(
        name="oracle_region",
        draw="trim.figures.oracle_region:draw",
        scope="once",
        reads=tables("curves"),
        category="Main results",
        title="TRIM-Thr against the query-level oracle",
        caption=(
            "TRIM-Thr against a router of whole problems that knows both models' answers. It sends only problems to "
            "the strong model that it alone solves; the shaded region holds all orders of sending them, between the "
            "cheapest first and the dearest first. The band is the bootstrap interval of TRIM-Thr; the dotted line "
            "sends whole problems at random."
        ),
        settings=_all_evaluated,
    ),
    FigureSpec(
        name="budgeted",
        draw="trim.figures.budgeted:draw",
        scope="once",
        reads=tables("budgeted"),
        category="Main results",
        title="fixed budgets",
        caption=(
            "Share of the accuracy gap between both models that is recovered at fixed budgets, with bootstrap "
            "intervals, by the TRIM routers, the takeover control and the query-level baseline that is best on "
            "average. Dotted: sending whole problems at random. Between operating points accuracies are interpolated. "
            "Within a budget, routers lie side by side only to be told apart."
        ),
        settings=_all_evaluated,
    ),
    FigureSpec(
        name="claims",
        draw="trim.figures.claims:draw",
        scope="once",
        reads=tables("claims"),
        category="Main results",
        title="claims",
        caption=(
            "The claims of the paper as statements about this experiment: each line is our estimate with its "
            "interval over problems, and it holds where all of that lies beyond the dashed bar; bars are ours where "
            "the paper names none (claims.csv). Headline claims are bold. A tick is the paper's own value of the same "
            "quantity, of much larger models: on MATH-500 beside the main dataset, on AIME beside another one that "
            "routers were fitted on, else the lesser of OlympiadBench and Minerva Math. Verdicts depend on the PRM and "
            "on one seed of everything; intervals cover the draw of problems alone."
        ),
    ),
    FigureSpec(
        name="transfer_curves",
        draw="trim.figures.transfer_curves:draw",
        scope="once",
        reads=tables("curves"),
        category="Generalization",
        title="routers trained elsewhere",
        caption=(
            "Accuracy against strong share at low budgets: a row a dataset, a column a router. Solid, with a "
            "bootstrap interval, where the router was trained on the dataset itself; dashed or dotted where it comes "
            "from another one; one that no router was trained on has no solid line. Of training runs, the first."
        ),
        settings=_all_datasets,
        wanted=lambda experiment: max(len(experiment.evaluated_on), len(experiment.routers.trained_on)) > 1,
    ),
    FigureSpec(
        name="generalization_matrix",
        draw="trim.figures.generalization_matrix:draw",
        scope="once",
        reads=tables("generalization"),
        category="Generalization",
        title="matrix of training and evaluation",
        caption=(
            "ΔIBC of each trained router on each dataset, with half the width of its interval; a panel a training "
            "dataset, framed where it is the dataset evaluated on. Of several training runs the first is shown."
        ),
    ),
    FigureSpec(
        name="prm_quality_routing",
        draw="trim.figures.prm_quality_routing:draw",
        scope="once",
        reads=tables("prm_routing"),
        category="Ablations",
        title="what PRM quality buys",
        caption=(
            "What a better PRM buys: every router fitted again with each PRM and evaluated on the main dataset. AUCs "
            "lie evenly in their logits; routers of one PRM lie side by side only to be told apart. A point is missing "
            "where a sweep does not reach the level; intervals are bootstrap intervals, and one without an upper end "
            "stops at its point. The PRM sharp is the strong model itself, which reads every step without being "
            "charged: no trade-off that anybody could have."
        ),
        settings=compared_prms,
        wanted=lambda experiment: (
            bool(experiment.reported_prms) and experiment.main_dataset in experiment.routers.trained_on
        ),
        note=judged_by_answers,
    ),
    FigureSpec(
        name="ablations",
        draw="trim.figures.ablations:draw",
        scope="once",
        reads=tables("ablations"),
        category="Ablations",
        title="differences in ΔIBC",
        caption=(
            "Paired differences in ΔIBC, with their intervals: the first of the names in a row minus the second, on "
            "the same resampled problems, as trained. Filled marks: p below 5 % after correction for all that an "
            "ablation asks. Faint: training of one side is not shown to have worked (training.csv), so that the "
            "difference says nothing of what was asked. "
            "Of several training runs the first is drawn; the table holds all, and the measures beside ΔIBC."
        ),
    ),
    FigureSpec(
        name="prices",
        draw="trim.figures.prices:draw",
        scope="evaluated",
        reads=tables("price_curves", "prices"),
        category="Main results",
        title="accuracy against cost share",
        caption=(
            "Accuracy against cost at several prices of tokens. The cost share is what is spent beyond the weak model "
            "alone: 100 % is the strong model; the dotted line mixes both at random. What strong tokens alone leave "
            "out counts here: what models read, discarded drafts, further weak samples, the PRM."
        ),
    ),
    FigureSpec(
        name="controls",
        draw="trim.figures.controls:draw",
        scope="evaluated",
        reads=tables("curves"),
        category="Ablations",
        title="controls and variants",
        caption=(
            '"Per kappa" trains a policy for each trade-off, as the paper does; otherwise one policy serves all. '
            "Left: what interpolation between few thresholds alone gains (hull), what the cost of a step alone gains "
            "(per token), and what handing over for good loses (takeover); RSD is one fixed threshold. Right: every "
            "variant of the routers that look ahead. The band is the bootstrap interval of TRIM-Thr."
        ),
    ),
    FigureSpec(
        name="strong_calls",
        draw="trim.figures.strong_calls:draw",
        scope="evaluated",
        reads=tables("strong_calls", "curves"),
        category="Diagnostics",
        title="calls of the strong model",
        caption=(
            "Share of the steps at each position that the strong model wrote, for each router at its operating point "
            "nearest to 10, 20 and 40 percent of the strong model's tokens, with 95 % Wilson intervals over episodes; "
            "a router without one within five points is left out. Only positions that 20 episodes reach are drawn."
        ),
    ),
    FigureSpec(
        name="interventions",
        draw="trim.figures.interventions:draw",
        scope="once",
        reads=tables("interventions"),
        category="Diagnostics",
        title="calls of the strong model that pay",
        caption=(
            "Problems that a router solves and the weak model alone does not, by the number of steps that the strong "
            "model wrote, at the operating point nearest to each budget."
        ),
        settings=_all_evaluated,
    ),
    FigureSpec(
        name="prm_reliability",
        draw="trim.figures.prm_reliability:draw",
        scope="once",
        reads=tables("prm_quality", "prm_reliability", "prm_histogram"),
        category="Diagnostics",
        title="PRM reliability",
        caption=(
            "Above, how often a step with a given score is right, on the test rollouts of each dataset; AUC is the "
            "step AUC up to the first error. Below, the scores of right and of wrong steps of all these datasets."
        ),
        wanted=lambda experiment: bool(experiment.measured),
    ),
    FigureSpec(
        name="prm_outcomes",
        draw="trim.figures.prm_outcomes:draw",
        scope="evaluated",
        reads=tables("prm_outcomes", "prm_outcome_reliability"),
        category="Diagnostics",
        title="PRM scores and final answers",
        caption=(
            "Whether PRM scores foresee that a solution of the weak model comes out right. Left, how often it does, by "
            "the score of one of its steps; middle, by the score of its last step; bins of fewer than ten are "
            "left out. Right, areas under the ROC curve for a right answer, of the scores of single steps and of four "
            "ways to put the scores of a solution in one number, with bootstrap intervals; 0.5 is chance."
        ),
    ),
    FigureSpec(
        name="observation_model",
        draw="trim.figures.observation_model:draw_fitted",
        scope="trained",
        reads=_solved("default"),
        category="Diagnostics",
        title="observation model of TRIM-POMDP",
        caption=(
            "How likely a PRM score is in each state, as TRIM-POMDP fitted it. All bins are drawn equally wide; they "
            "hold equally many scores, so that most of the axis belongs to the high scores that most steps have. "
            "Where lines lie apart, a score tells the states apart."
        ),
        wanted=lambda experiment: "default" in experiment.routers.pomdp.variants,
    ),
    FigureSpec(
        name="joint_observation",
        draw="trim.figures.joint_observation:draw_fitted",
        scope="trained",
        reads=_solved("released"),
        category="Diagnostics",
        title="observation model of TRIM-POMDP, released",
        caption=(
            "How likely a draft's PRM score is together with the lowest score before it, in each state, as the "
            "released variant of TRIM-POMDP reads them. At the first step the lowest score before counts as 1."
        ),
        wanted=lambda experiment: "released" in experiment.routers.pomdp.variants,
    ),
    FigureSpec(
        name="pomdp_policy",
        draw="trim.figures.pomdp_policy:draw_fitted",
        scope="trained",
        reads=_solved("default"),
        category="Diagnostics",
        title="decisions of TRIM-POMDP",
        caption=(
            "Decisions of TRIM-POMDP for every belief about a draft, its score seen: S0, all is right so far; S1, an "
            "earlier step is wrong; S2, only the draft is. The colour says how many tokens a draft may have at most "
            "to be regenerated; in the darkest regions even the shortest drafts are kept."
        ),
        wanted=lambda experiment: "default" in experiment.routers.pomdp.variants,
    ),
    FigureSpec(
        name="planners",
        draw="trim.figures.planners:draw",
        scope="once",
        reads=tables("planners"),
        category="Diagnostics",
        title="planners on the fitted POMDP",
        caption=(
            "What pomdp-py's POUCT earns in the POMDP that TRIM-POMDP fitted on the main dataset, by its simulations "
            "for each decision, a panel a kappa. Value: right answers less the price of strong tokens, with intervals "
            "over simulated episodes. The line at the top is our exact solution, its band the certified gap, mostly "
            "thinner than the line. POUCT plays on from its tree at random, as pomdp-py has it, or by the best "
            "threshold on the draft's score, which is dashed. Points lie side by side only to be told apart."
        ),
        wanted=lambda experiment: experiment.plans,
    ),
    FigureSpec(
        name="prefixes",
        draw="trim.figures.prefixes:draw",
        scope="once",
        reads=tables("prefixes"),
        category="Diagnostics",
        title="decisions at labelled prefixes",
        caption=(
            "What each router decides at labelled prefixes of test problems, beyond TRIM-Thr: right answers less kappa "
            "for the tokens of a strong solution, per decision, with 95 % intervals over problems. Who goes on "
            "stands above: the two bracket a router. Points of one kappa lie side by side only to be told apart."
        ),
        wanted=lambda experiment: experiment.main_dataset in experiment.routers.trained_on,
    ),
    FigureSpec(
        name="learning_curves",
        draw="trim.figures.learning_curves:draw_fitted",
        scope="trained",
        reads=_learned_runs,
        category="Diagnostics",
        title="learning curves",
        caption=(
            "Return on dev, right answers less the price of strong tokens, against the decisions that PPO learned "
            "from. A dot marks the snapshot that was kept. A policy that serves all kappas is measured at several and "
            "averaged; other policies bear their kappa. Untrained policies lie below the panels."
        ),
        wanted=lambda experiment: bool(experiment.routers.agg.variants or experiment.routers.seq.variants),
    ),
    FigureSpec(
        name="decision_map",
        draw="trim.figures.decision_map:draw_fitted",
        scope="trained",
        reads=_agg_and_scores,
        category="Diagnostics",
        title="decisions of TRIM-Agg",
        caption=(
            "Decisions of TRIM-Agg by the score of a draft and the lowest score of the steps before. The colour says "
            "how many tokens a draft may have at most to be regenerated, of a short, a usual and a long draft. Dots "
            "are drafts of the weak model on the training problems. Both axes are logits, for scores pile up near 1."
        ),
        wanted=lambda experiment: bool(experiment.routers.agg.variants),
    ),
)
