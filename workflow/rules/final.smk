# What can be asked for: tables, figures, the manuscript's share of them, and all of it.

from trim.figures.drawings import drawing, drawings
from trim.paper.manuscript import included
from trim.paper.numbers import READ

# Tables of the manuscript alone.
NARROW = [
    f"{RESULTS}/tables/{name}.tex"
    for name in (
        *("end_points", "routers", "baselines"),
        *(["prms"] if MEASURED else []),
        *(["needed_prm"] if UNLABELLED else []),
    )
]
TABLES = [
    *(
        f"{RESULTS}/tables/{name}"
        for name in (
            *("curves.csv", "main.csv", "main.tex"),
            *("comparisons.csv", "comparisons.tex"),
            *("dev.csv", "dev_comparisons.csv"),
            *(["prm_quality.csv"] if MEASURED else []),
            "prm_outcomes.csv",
            *(["needed_prm.csv"] if UNLABELLED else []),
            *(["end_points.csv"] if LABELLED else []),
            *("ablations.csv", "training.csv", "bands.csv"),
            *(["pomdp_misfit.csv"] if SOLVED_POMDPS else []),
            *(["planners.csv"] if EXPERIMENT.plans else []),
            *(["prefixes.csv"] if MAIN in EXPERIMENT.routers.trained_on else []),
            *("sampling.csv", "power.csv", "prm_routing.csv"),
            *("generalization.csv", "generalization.tex", "transfer.csv"),
            *("budgeted.csv", "budgeted.tex"),
            *("interventions.csv", "interventions.tex"),
            *("claims.csv", "claims.tex", "metric_check.csv"),
            *("prices.csv", "price_curves.csv", "price_verdicts.csv"),
        )
    ),
    f"{RESULTS}/paper/numbers.tex",
    *NARROW,
]
EXPLORER = f"{RESULTS}/explorer.html"
CALCULATOR = f"{RESULTS}/calculator.html"


FIGURES = [
    f"{RESULTS}/figures/{name}.{suffix}"
    for name in drawings(EXPERIMENT)
    for suffix in ("pdf", "png")
]


def get_drawing(wildcards):
    """The figure that is asked for."""
    try:
        return drawing(EXPERIMENT, wildcards.figure)
    except TrimError as error:
        raise WorkflowError(str(error)) from None


def figure_inputs(wildcards):
    """What a figure is drawn from; published numbers lie beside the Snakefile."""
    return {
        name: [shipped(path) for path in paths] if name == "published" else paths
        for name, paths in get_drawing(wildcards).inputs(EXPERIMENT).items()
    }


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
    return [*TABLES, *FIGURES, EXPLORER, CALCULATOR, *manifests]
