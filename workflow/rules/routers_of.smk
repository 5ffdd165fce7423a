# The routers of the experiment: what is fitted, what that leaves behind, and what is evaluated.

from trim.evaluation.ablations import LEARNED
from trim.models.prm_kinds import prm_kinds
from trim.names import END_POINTS, routers_of
from trim.names import variants as variants_of
from trim.routers.registry import controls

ROUTER_SETTINGS = settings_of(EXPERIMENT.routers)


wildcard_constraints:
    router="|".join(FITTED),
    variant="|".join({v for router in FITTED for v in variants_of(router)}),
    run="[0-9]+",


def fitted_of(router, trained_on):
    """What was fitted for a router: a folder for each variant and training run."""
    owner = FITTED[router].fitted_as[0] if FITTED[router].fitted_as else router
    folder = f"{RESULTS}/routers/{owner}/{trained_on}"
    runs = FITTED[router].runs(EXPERIMENT.routers, trained_on, MAIN)
    return [f"{folder}/{variant}.{run}" for variant, run in runs]


def fitted_for(router):
    """What was fitted for a router on any dataset."""
    sources = EXPERIMENT.routers.trained_on
    return [path for source in sources for path in fitted_of(router, source)]


def fitted_inputs():
    """What was fitted for the routers that decide step by step, by "router/trained_on"."""
    return {
        f"{router}/{source}": fitted_of(router, source)
        for router, source in STEPWISE
        if router in FITTED
    }


def get_donor(wildcards):
    """What a variant takes over from the main dataset, if it does."""
    donor = FITTED[wildcards.router].donors.get(wildcards.variant)
    folder = f"{RESULTS}/routers/{wildcards.router}/{MAIN}"
    return f"{folder}/{donor}.0" if donor else []


def get_labelled_solutions(wildcards):
    """Scored solutions of others whose steps have labels, for a router that needs labels where our own have none."""
    if is_labelled(wildcards) or not FITTED[wildcards.router].needs_labels:
        return []
    solved = EXPERIMENT.routers.pomdp.observed_on
    if solved is None:
        return []
    return f"{RESULTS}/scores/{EXPERIMENT.pair.prm}/{solved}.router_train.parquet"


# By dataset, the solved POMDP that was fitted on it.
SOLVED_POMDPS = {
    source: f"{RESULTS}/routers/trim-pomdp/{source}/default.0"
    for source in EXPERIMENT.routers.trained_on
    if "default" in EXPERIMENT.routers.pomdp.variants
}


def refit_settings():
    """What decides the routers that are fitted again with another PRM, whichever variants there are besides."""
    decisive = {}
    for router in FITTED.values():
        for variant in router.refitted:
            decisive |= router.decisive(ROUTER_SETTINGS, variant)
    return decisive


def refitted_routers(wildcards):
    """Names of the routers that are fitted again with another PRM; all where its kind does not say."""
    kind = prm_kinds().get(EXPERIMENT.prms[wildcards.prm].kind)
    named = list(kind.routers) if kind else []
    absent = [name for name in FITTED if not fitted_of(name, MAIN)]
    return [name for name in named or FITTED if name not in absent] if absent else named


def episodes_of(routers):
    """Files with the test episodes of (router, trained_on), by "router/trained_on"."""
    return {
        f"{router}/{source}": f"{RESULTS}/episodes/{router}/{source}/{{dataset}}.parquet"
        for router, source in routers
    }


def stepwise_dev(sources=EXPERIMENT.routers.trained_on):
    """Episodes on dev of every fitted router that decides step by step, at the operating points chosen there."""
    return [
        f"{fitted}.dev.parquet"
        for source in sources
        for router in FITTED
        if not FITTED[router].fitted_as
        for fitted in fitted_of(router, source)
    ]


def dev_episodes():
    """The same of every fitted router, query-level baselines too."""
    for source in EXPERIMENT.routers.trained_on:
        yield from stepwise_dev([source])
        yield f"{RESULTS}/routers/query-level/{source}/dev.parquet"


def explorer_inputs():
    """Problems and trees of each dataset, by "dataset/kind", and what was fitted, by "trained_on/router"."""
    inputs = explored_inputs(EXPLORED)
    for trained_on in sorted(set(EXPLORED.values())):
        for router in filter(FITTED.get, routers_of("trim")):
            inputs[f"{trained_on}/{router}"] = fitted_of(router, trained_on)
    return inputs


# (router, trained_on) of the routers that know the truth of steps, that decide step by step, and once a problem.
ORACLES = [
    (router, "untrained") for router in ("first-error-oracle", "perfect-information")
]
# What bounds them where nobody knows the truth of steps.
BOUNDS = [
    (router, "untrained") for router in ("better-step-oracle", "perfect-information")
]
STEPWISE = [(router, "untrained") for router in controls(EXPERIMENT.routers)] + [
    (router, source)
    for router in FITTED
    for source in EXPERIMENT.routers.trained_on
    if fitted_of(router, source)
]
ORACLE_QUERY = [("oracle-query", "untrained")]
QUERY_ROUTERS = [
    (router, source)
    for router in EXPERIMENT.routers.query.baselines
    for source in EXPERIMENT.routers.trained_on
]
EPISODES = [
    path.format(dataset=dataset)
    for dataset in EXPERIMENT.evaluated_on
    for path in episodes_of(
        STEPWISE
        + ORACLE_QUERY
        + (ORACLES if has_labels(dataset) else BOUNDS)
        + QUERY_ROUTERS
    ).values()
]
# Test episodes of the routers that were fitted on the main dataset with further PRMs.
BY_PRM_EPISODES = [
    f"{RESULTS}/episodes/by_prm/{prm}.parquet"
    for prm in EXPERIMENT.reported_prms
    if MAIN in EXPERIMENT.routers.trained_on
]
# Whose quality they are held against: labels of steps, or final answers where the main dataset has none.
if has_labels(MAIN):
    BY_PRM_QUALITY = f"{RESULTS}/tables/prm_quality.csv" if MEASURED else []
else:
    BY_PRM_QUALITY = f"{RESULTS}/tables/prm_outcomes.csv"
# For each dataset that is shown, the dataset on which the routers were fitted that are followed there.
EXPLORED = {
    dataset: (
        dataset
        if dataset in EXPERIMENT.routers.trained_on
        else EXPERIMENT.routers.trained_on[0]
    )
    for dataset in EXPERIMENT.evaluated_on
}
