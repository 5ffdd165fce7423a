# Pages that any browser opens: solutions step by step, and how long they take at rates of the reader.


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


rule build_calculator:
    input:
        episodes=EPISODES,
    output:
        page=report(
            CALCULATOR,
            caption="../report/calculator.rst",
            category="Explorer",
            labels={"page": "seconds at your own rates"},
        ),
    log:
        f"{RESULTS}/logs/build_calculator.log",
    benchmark:
        f"{RESULTS}/benchmarks/build_calculator.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        experiment=EXPERIMENT.experiment,
        trained_on=EXPLORED,
        prices={
            name: settings_of(price)
            for name, price in EXPERIMENT.prices.items()
            if price.kind == "seconds"
        },
        version=STAGE["calculator"],
    message:
        "Building the latency calculator"
    script:
        "../scripts/build_calculator.py"
