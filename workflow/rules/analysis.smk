rule compute_ablations:
    input:
        # Of the routers that decide step by step.
        episodes=[
            path
            for path in EPISODES
            if Path(path).parts[-3] not in EXPERIMENT.routers.query.baselines
        ],
        by_prm=BY_PRM_EPISODES,
        dev=stepwise_dev(),
        quality=BY_PRM_QUALITY,
        learned=[path for router in LEARNED for path in fitted_for(router)],
        # As for compute_metrics: without disjoint parts none of the main tables.
        checked=f"{RESULTS}/problems/disjoint.json",
    output:
        ablations=report(
            f"{RESULTS}/tables/ablations.csv",
            caption="../report/ablations.rst",
            category="Tables",
            labels={"table": "ablations"},
        ),
        training=report(
            f"{RESULTS}/tables/training.csv",
            caption="../report/training.rst",
            category="Tables",
            labels={"table": "training"},
        ),
        bands=report(
            f"{RESULTS}/tables/bands.csv",
            caption="../report/bands.rst",
            category="Tables",
            labels={"table": "lead by band of the gap"},
        ),
        sampling=report(
            f"{RESULTS}/tables/sampling.csv",
            caption="../report/sampling.rst",
            category="Tables",
            labels={"table": "sampling"},
        ),
        power=report(
            f"{RESULTS}/tables/power.csv",
            caption="../report/power.rst",
            category="Tables",
            labels={"table": "power"},
        ),
        prm_routing=report(
            f"{RESULTS}/tables/prm_routing.csv",
            caption="../report/prm_routing.rst",
            category="Tables",
            labels={"table": "routing by PRM"},
        ),
    log:
        f"{RESULTS}/logs/compute_ablations.log",
    benchmark:
        f"{RESULTS}/benchmarks/compute_ablations.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        **compared_on(),
        prm=EXPERIMENT.pair.prm,
        main_dataset=MAIN,
        trained_on=EXPERIMENT.routers.trained_on[0],
        bootstrap=RESAMPLING,
        seed=EXPERIMENT.seed,
        version=STAGE["analysis"],
    message:
        "Computing what each part of a router is worth"
    script:
        "../scripts/compute_ablations.py"


rule compute_misfit:
    input:
        solved=list(SOLVED_POMDPS.values()),
        # Each holds both models alone too.
        dev=[f"{folder}.dev.parquet" for folder in SOLVED_POMDPS.values()],
        test=[
            f"{RESULTS}/episodes/{router}/{source}/{dataset}.parquet"
            for dataset in SOLVED_POMDPS
            if dataset in EXPERIMENT.evaluated_on
            for router, source in (
                *((name, "untrained") for name in END_POINTS),
                ("trim-pomdp", dataset),
            )
        ],
    output:
        misfit=report(
            f"{RESULTS}/tables/pomdp_misfit.csv",
            caption="../report/pomdp_misfit.rst",
            category="Tables",
            labels={"table": "misfit of the POMDP"},
        ),
    log:
        f"{RESULTS}/logs/compute_misfit.log",
    benchmark:
        f"{RESULTS}/benchmarks/compute_misfit.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        bootstrap=RESAMPLING,
        seed=EXPERIMENT.seed,
        version=STAGE["analysis"],
    message:
        "Holding the POMDPs against the episodes of their policies"
    script:
        "../scripts/compute_misfit.py"


rule compare_planners:
    input:
        solved=SOLVED_POMDPS.get(MAIN, []),
    output:
        table=report(
            f"{RESULTS}/tables/planners.csv",
            caption="../report/planners.rst",
            category="Tables",
            labels={"table": "planners"},
        ),
        # Apart, for it is never the same again.
        times=f"{RESULTS}/benchmarks/planners.csv",
    log:
        f"{RESULTS}/logs/compare_planners.log",
    benchmark:
        f"{RESULTS}/benchmarks/compare_planners.tsv"
    conda:
        "../../envs/planners.yaml"
    params:
        planners=settings_of(EXPERIMENT.planners),
        level=EXPERIMENT.bootstrap.level,
        seed=EXPERIMENT.seed,
        version=STAGE["planners"],
    message:
        "Comparing planners on the fitted POMDP"
    script:
        "../scripts/compare_planners.py"


rule score_prefixes:
    input:
        **tree_inputs("dev", MAIN),
        test_problems=f"{RESULTS}/problems/{EXPERIMENT.compared_on}/test.jsonl",
        test_trees=f"{RESULTS}/trees/{EXPERIMENT.compared_on}.test.parquet",
        fitted=[
            path
            for router in FITTED
            if not FITTED[router].fitted_as
            for path in fitted_of(router, MAIN)
        ],
    output:
        prefixes=report(
            f"{RESULTS}/tables/prefixes.csv",
            caption="../report/prefixes.rst",
            category="Tables",
            labels={"table": "decisions at labelled prefixes"},
        ),
    log:
        f"{RESULTS}/logs/score_prefixes.log",
    benchmark:
        f"{RESULTS}/benchmarks/score_prefixes.tsv"
    conda:
        "../../envs/routers.yaml"
    params:
        settings={"others": ROUTER_SETTINGS["others"]},
        bootstrap=RESAMPLING,
        seed=EXPERIMENT.seed,
        version=STAGE["prefixes"],
    message:
        "Scoring the routers at labelled prefixes"
    script:
        "../scripts/score_prefixes.py"


rule compute_generalization:
    input:
        episodes=EPISODES,
        dev=list(dev_episodes()),
        # As for compute_metrics: without disjoint parts none of the main tables.
        checked=f"{RESULTS}/problems/disjoint.json",
    output:
        generalization=report(
            f"{RESULTS}/tables/generalization.csv",
            caption="../report/generalization.rst",
            category="Tables",
            labels={"table": "generalization"},
        ),
        generalization_tex=f"{RESULTS}/tables/generalization.tex",
        transfer=report(
            f"{RESULTS}/tables/transfer.csv",
            caption="../report/transfer.rst",
            category="Tables",
            labels={"table": "transfer of operating points"},
        ),
    log:
        f"{RESULTS}/logs/compute_generalization.log",
    benchmark:
        f"{RESULTS}/benchmarks/compute_generalization.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        bootstrap=RESAMPLING,
        seed=EXPERIMENT.seed,
        version=STAGE["analysis"],
    message:
        "Computing what routers are worth on other datasets than their own"
    script:
        "../scripts/compute_generalization.py"


rule compute_budgets:
    input:
        episodes=EPISODES,
        # As for compute_metrics: without disjoint parts none of the main tables.
        checked=f"{RESULTS}/problems/disjoint.json",
    output:
        budgeted=report(
            f"{RESULTS}/tables/budgeted.csv",
            caption="../report/budgeted.rst",
            category="Tables",
            labels={"table": "accuracy at a budget"},
        ),
        budgeted_tex=f"{RESULTS}/tables/budgeted.tex",
        interventions=report(
            f"{RESULTS}/tables/interventions.csv",
            caption="../report/interventions.rst",
            category="Tables",
            labels={"table": "strong steps of a rescue"},
        ),
        interventions_tex=f"{RESULTS}/tables/interventions.tex",
    log:
        f"{RESULTS}/logs/compute_budgets.log",
    benchmark:
        f"{RESULTS}/benchmarks/compute_budgets.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        # What the tables for the paper show.
        dataset=EXPERIMENT.evaluated_on[0],
        trained_on=EXPERIMENT.routers.trained_on[0],
        bootstrap=RESAMPLING,
        seed=EXPERIMENT.seed,
        version=STAGE["analysis"],
    message:
        "Reading routers at given budgets"
    script:
        "../scripts/compute_budgets.py"


rule compute_needed_prm:
    input:
        **explored_inputs(UNLABELLED),
    output:
        table=report(
            f"{RESULTS}/tables/needed_prm.csv",
            caption="../report/needed_prm.rst",
            category="Tables",
            labels={"table": "how good a PRM would have to be"},
        ),
    log:
        f"{RESULTS}/logs/compute_needed_prm.log",
    benchmark:
        f"{RESULTS}/benchmarks/compute_needed_prm.tsv"
    conda:
        "../../envs/models.yaml"
    params:
        datasets=UNLABELLED,
        prm=EXPERIMENT.pair.prm,
        operating_points=EXPERIMENT.routers.operating_points,
        bootstrap=RESAMPLING,
        seed=EXPERIMENT.seed,
        version=STAGE["bounds"],
    message:
        "Computing how good a PRM would have to be"
    script:
        "../scripts/compute_needed_prm.py"
