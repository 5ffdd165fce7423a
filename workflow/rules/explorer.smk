# One page in which solutions are followed step by step.


rule build_explorer:
    input:
        **explorer_inputs(),
        curves=f"{RESULTS}/tables/curves.csv",
    output:
        page=report(
            EXPLORER,
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
    params:
        experiment=EXPERIMENT.experiment,
        trained_on=EXPLORED,
        labelled={dataset: has_labels(dataset) for dataset in EXPLORED},
        version=STAGE["explorer"],
    message:
        "Building the trace explorer"
    script:
        "../scripts/build_explorer.py"
