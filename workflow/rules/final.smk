# What can be asked for: tables, figures, the manuscript's share of them, and all of it.

from trim.paper.manuscript import included
from trim.paper.numbers import READ

# Tables of the manuscript alone.
NARROW = [
    f"{RESULTS}/tables/{name}.tex"
    for name in ("end_points", "routers", "baselines", *(["prms"] if MEASURED else []))
]
TABLES = [
    *(
        f"{RESULTS}/tables/{name}"
        for name in (
            *("curves.csv", "main.csv", "main.tex"),
            *("comparisons.csv", "comparisons.tex"),
            *("dev.csv", "dev_comparisons.csv"),
            *(["prm_quality.csv"] if MEASURED else []),
            *("ablations.csv", "sampling.csv", "power.csv", "prm_routing.csv"),
            *("generalization.csv", "generalization.tex", "transfer.csv"),
            *("budgeted.csv", "budgeted.tex"),
            *("interventions.csv", "interventions.tex"),
            *("claims.csv", "claims.tex", "metric_check.csv"),
        )
    ),
    f"{RESULTS}/paper/numbers.tex",
    *NARROW,
]
EXPLORER = f"{RESULTS}/explorer.html"


def figure_parts():
    """What each kind of figure is drawn for: one drawing a dataset, or a single one; none where there is nothing to
    show."""
    routers = EXPERIMENT.routers
    evaluated, trained = list(EXPERIMENT.evaluated_on), list(routers.trained_on)
    single = [None]
    transferred = single if len({*evaluated, *trained}) > 1 else []
    fitted = {
        "learning_curves": routers.agg.variants or routers.seq.variants,
        "decision_map": routers.agg.variants,
        "observation_model": "default" in routers.pomdp.variants,
        "pomdp_policy": "default" in routers.pomdp.variants,
        "joint_observation": "released" in routers.pomdp.variants,
    }
    return {
        "accuracy_vs_cost": evaluated,
        "controls": evaluated,
        "strong_calls": evaluated,
        "stepwise_vs_query": evaluated if routers.query.baselines else [],
        "oracle_region": single,
        "transfer_curves": transferred,
        "prm_reliability": single if MEASURED else [],
        "generalization_matrix": single,
        "prm_quality_routing": single,
        "ablations": single,
        "budgeted": single,
        "interventions": single,
        "claims": single,
        **{kind: trained if wanted else [] for kind, wanted in fitted.items()},
    }


FIGURE_PARTS = figure_parts()


def figure_files(kind, suffix):
    """Files of one kind of figure, in the order of its parts."""
    names = [f"{kind}_{part}" if part else kind for part in FIGURE_PARTS[kind]]
    return [f"{RESULTS}/figures/{name}.{suffix}" for name in names]


def reported_file(path, kind, category, labels):
    """A figure that the report shows."""
    caption = f"../report/figures/{kind}.rst"
    return report(path, caption=caption, category=category, labels=labels)


def reported_files(kind, category, what):
    """One kind of figure as PNG, with what the report says of it."""
    parts = zip(figure_files(kind, "png"), FIGURE_PARTS[kind], strict=True)
    labels = {path: {"figure": what, "dataset": part or "all"} for path, part in parts}
    return [reported_file(path, kind, category, labels[path]) for path in labels]


FIGURES = [
    path
    for kind in FIGURE_PARTS
    for suffix in ("pdf", "png")
    for path in figure_files(kind, suffix)
]


def get_numbered(wildcards):
    """Tables whose rows become numbers in the text."""
    return [path for path in TABLES if Path(path).stem in READ and path.endswith("csv")]


def get_included(kind, suffix):
    """Files of one kind that the manuscript includes, as far as the experiment makes them."""

    def paths(wildcards):
        named = included(Path(MANUSCRIPT).read_text(encoding="utf-8"))[kind]
        wanted = {f"{RESULTS}/{kind}s/{name}.{suffix}" for name in named}
        return sorted(wanted.intersection(get_final_output()))

    return paths


def get_final_output():
    """All that the default target asks for."""
    manifests = (f"{RESULTS}/problems/{d}/manifest.json" for d in EXPERIMENT.datasets)
    return [*TABLES, *FIGURES, EXPLORER, *manifests]
