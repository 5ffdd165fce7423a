rule fit_router:
    input:
        **pair_inputs(),
        **tree_inputs("router_train"),
        **tree_inputs("dev"),
        solutions=get_labelled_solutions,
        donor=get_donor,
    output:
        folder=directory(
            f"{RESULTS}/routers/{{router}}/{{trained_on}}/{{variant}}.{{run}}"
        ),
        dev=f"{RESULTS}/routers/{{router}}/{{trained_on}}/{{variant}}.{{run}}.dev.parquet",
    log:
        f"{RESULTS}/logs/fit_router/{{router}}/{{trained_on}}/{{variant}}.{{run}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/fit_router/{{router}}/{{trained_on}}/{{variant}}.{{run}}.tsv"
    conda:
        "../../envs/routers.yaml"
    threads: 1
    resources:
        gpu=gpus("weak", "strong", "prm"),
        mem_mb=memory_mb("weak", "strong", "prm"),
        runtime=240,
    params:
        **tree_params(),
        settings=lambda wildcards: FITTED[wildcards.router].decisive(
            ROUTER_SETTINGS, wildcards.variant
        ),
        seed=EXPERIMENT.seed,
        version=lambda wildcards: FITTED[wildcards.router].version,
    message:
        "Fitting {wildcards.router} ({wildcards.variant}) on {wildcards.trained_on}, run {wildcards.run}"
    script:
        "../scripts/fit_router.py"


rule fit_query_router:
    input:
        encoder=encoder_folder(),
        problems=f"{RESULTS}/problems/{{trained_on}}/router_train.jsonl",
        solutions=f"{RESULTS}/solutions/{{trained_on}}.router_train.parquet",
        rollouts=f"{RESULTS}/rollouts/{{trained_on}}.router_train.parquet",
        dev_problems=f"{RESULTS}/problems/{{trained_on}}/dev.jsonl",
        dev_solutions=f"{RESULTS}/solutions/{{trained_on}}.dev.parquet",
    output:
        folder=directory(f"{RESULTS}/routers/query-level/{{trained_on}}/policies"),
        dev=f"{RESULTS}/routers/query-level/{{trained_on}}/dev.parquet",
    log:
        f"{RESULTS}/logs/fit_query_router/{{trained_on}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/fit_query_router/{{trained_on}}.tsv"
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        gpu=reading_gpus(),
        mem_mb=3000,
        runtime=120,
    params:
        **query_params(),
        settings=settings_of(EXPERIMENT.routers.query),
        operating_points=EXPERIMENT.routers.operating_points,
        seed=EXPERIMENT.seed,
        version=STAGE["query_routers"],
    message:
        "Fitting the query-level baselines on {wildcards.trained_on}"
    script:
        "../scripts/fit_query_router.py"
