# What the routers of the experiment are fitted from, leave behind, and are evaluated on.

ORACLE_ROUTERS = ("first-error-oracle", "perfect-information")
UNTRAINED_ROUTERS = ("weak-only", "strong-only", "random-step", "oracle-query", "rsd")
FITTED_ROUTERS = ("trim-thr", "one-step-takeover", "trim-agg", "trim-seq", "trim-pomdp")
LEARNED_ROUTERS = ("trim-agg", "trim-seq")


wildcard_constraints:
    learned="|".join(LEARNED_ROUTERS),
    variant="default|conditioned|released|memoryless|transferred",
    run="[0-9]+",


def fitted_of(router, trained_on):
    """What was fitted for a router: a file or folder for each variant and training run."""
    folder = f"{RESULTS}/routers/{router}/{trained_on}"
    routers = EXPERIMENT.routers
    match router:
        case "trim-thr" | "one-step-takeover":
            return [f"{RESULTS}/routers/trim-thr/{trained_on}/thresholds.json"]
        case "trim-agg" | "trim-seq":
            variants = getattr(routers, router.removeprefix("trim-")).variants
            if trained_on != HOME:
                variants = variants[:1]  # the others are ablations
            return [
                f"{folder}/{v}.{run}" for v in variants for run in range(routers.seeds)
            ]
        case "trim-pomdp":
            variants = routers.pomdp.variants
            at_home = trained_on == HOME  # there, nothing is transferred
            known = HOME in routers.trained_on and "default" in variants
            return [
                f"{folder}/{variant}.npz"
                for variant in variants
                if variant != "transferred" or (known and not at_home)
            ]
    return []


def fitted_for(router):
    """What was fitted for a router on any dataset."""
    return [
        fitted
        for trained_on in EXPERIMENT.routers.trained_on
        for fitted in fitted_of(router, trained_on)
    ]


def fitted_inputs():
    """What was fitted for the routers that walk, by "router/trained_on"."""
    return {
        f"{router}/{source}": fitted_of(router, source)
        for router, source in WALKING_ROUTERS
    }


def get_transferred(wildcards):
    """The solved POMDP of the home dataset, for the variant that takes its observation model."""
    home = f"{RESULTS}/routers/trim-pomdp/{HOME}/default.npz"
    return home if wildcards.variant == "transferred" else []


def get_labelled_solutions(wildcards):
    """Scored solutions of others whose steps have labels, where those of `trained_on` have none."""
    solved = EXPERIMENT.routers.pomdp.observed_on
    return (
        []
        if is_labelled(wildcards)
        else f"{RESULTS}/scores/{EXPERIMENT.pair.prm}/{solved}.router_train.parquet"
    )


def learner_settings(wildcards):
    """What decides the training of one variant of a learned router: not which others there are."""
    settings = getattr(EXPERIMENT.routers, wildcards.learned.removeprefix("trim-"))
    conditioned = wildcards.variant == "conditioned"
    return settings_of(settings, "variants", *(["kappas"] if conditioned else []))


def by_prm_settings():
    """What decides the routers that are fitted with another PRM: one variant of each, whichever others there are."""
    routers = EXPERIMENT.routers
    return {
        "agg": settings_of(routers.agg, "variants", "kappas"),
        "seq": settings_of(routers.seq, "variants", "kappas"),
        "pomdp": settings_of(routers.pomdp, "variants"),
        "operating_points": routers.operating_points,
        "kappa": settings_of(routers.kappa),
    }


def episodes_of(routers):
    """Files with the test episodes of (router, trained_on), by "router/trained_on"."""
    return {
        f"{router}/{source}": f"{RESULTS}/episodes/{router}/{source}/{{dataset}}.parquet"
        for router, source in routers
    }


def dev_episodes():
    """Episodes on dev of every fitted router, at the operating points laid there."""
    for trained_on in EXPERIMENT.routers.trained_on:
        yield f"{RESULTS}/routers/trim-thr/{trained_on}/dev.parquet"
        for router in (*LEARNED_ROUTERS, "trim-pomdp"):
            for fitted in fitted_of(router, trained_on):
                yield f"{fitted.removesuffix('.npz')}.dev.parquet"
        yield f"{RESULTS}/routers/query-level/{trained_on}/dev.parquet"


def explorer_inputs():
    """Problems and forest of each dataset, by "dataset/kind", and what was fitted, by "trained_on/router"."""
    inputs = {}
    for dataset in EXPLORED:
        inputs[f"{dataset}/problems"] = f"{RESULTS}/problems/{dataset}/test.jsonl"
        inputs[f"{dataset}/forest"] = f"{RESULTS}/forests/{dataset}.test.parquet"
    for trained_on in sorted(set(EXPLORED.values())):
        for router in ("trim-thr", *LEARNED_ROUTERS, "trim-pomdp"):
            inputs[f"{trained_on}/{router}"] = fitted_of(router, trained_on)
    return inputs


# (router, trained_on) of the routers that need exact labels, that decide step by step, and once a problem.
ORACLES = [(router, "untrained") for router in ORACLE_ROUTERS]
WALKING_ROUTERS = [(router, "untrained") for router in UNTRAINED_ROUTERS] + [
    (router, source)
    for router in FITTED_ROUTERS
    for source in EXPERIMENT.routers.trained_on
    if fitted_of(router, source)
]
QUERY_ROUTERS = [
    (router, source)
    for router in EXPERIMENT.routers.query.baselines
    for source in EXPERIMENT.routers.trained_on
]
EPISODES = [
    path.format(dataset=dataset)
    for dataset in EXPERIMENT.evaluated_on
    for path in episodes_of(
        WALKING_ROUTERS + (ORACLES if has_labels(dataset) else []) + QUERY_ROUTERS
    ).values()
]
# Test episodes of the routers that were fitted at home with further PRMs: labels of steps are needed for that.
BY_PRM_EPISODES = [
    f"{RESULTS}/episodes/by_prm/{prm}.parquet"
    for prm in EXPERIMENT.reported_prms
    if has_labels(HOME) and HOME in EXPERIMENT.routers.trained_on
]
# For each dataset that is shown, the dataset on which the routers were fitted that are followed there.
EXPLORED = {
    dataset: (
        dataset
        if dataset in EXPERIMENT.routers.trained_on
        else EXPERIMENT.routers.trained_on[0]
    )
    for dataset in EXPERIMENT.evaluated_on
}
