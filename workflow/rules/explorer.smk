# For each dataset that is shown, the dataset on which the routers were fitted that are followed there.
EXPLORED = {
    dataset: (
        dataset
        if dataset in EXPERIMENT.routers.trained_on
        else EXPERIMENT.routers.trained_on[0]
    )
    for dataset in EXPERIMENT.evaluated_on
}


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


EXPLORER = [f"{RESULTS}/explorer.html"]


rule build_explorer:
    input:
        **explorer_inputs(),
        curves=f"{RESULTS}/tables/curves.csv",
    output:
        page=report(
            f"{RESULTS}/explorer.html",
            caption="../report/explorer.rst",
            category="Explorer",
            labels={"page": "solutions step by step"},
        ),
    log:
        f"{RESULTS}/logs/build_explorer.log",
    benchmark:
        f"{RESULTS}/benchmarks/build_explorer.tsv"
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=10,
    params:
        experiment=EXPERIMENT.experiment,
        trained_on=EXPLORED,
        labelled={dataset: has_labels(dataset) for dataset in EXPLORED},
        version=STAGE["explorer"],
    message:
        "Building the trace explorer"
    script:
        "../scripts/build_explorer.py"
