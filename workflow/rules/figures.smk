# One rule a figure: a job draws it for all datasets, for most of its time goes into starting.


rule plot_accuracy_vs_cost:
    input:
        curves=f"{RESULTS}/tables/curves.csv",
        published=PUBLISHED,
    output:
        pdf=figure_files("accuracy_vs_cost", "pdf"),
        png=reported_files("accuracy_vs_cost", "Main results", "accuracy against cost"),
    log:
        f"{RESULTS}/logs/plot_accuracy_vs_cost.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_accuracy_vs_cost.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        datasets=FIGURE_PARTS["accuracy_vs_cost"],
        trained_on=EXPERIMENT.routers.trained_on[0],
        published=EXPERIMENT.pair.published,
        version=STAGE["figures"],
    message:
        "Drawing accuracy against cost"
    script:
        "../scripts/plot_accuracy_vs_cost.py"


rule plot_stepwise_vs_query:
    input:
        curves=f"{RESULTS}/tables/curves.csv",
        main=f"{RESULTS}/tables/main.csv",
    output:
        pdf=figure_files("stepwise_vs_query", "pdf"),
        png=reported_files(
            "stepwise_vs_query", "Main results", "steps against whole problems"
        ),
    log:
        f"{RESULTS}/logs/plot_stepwise_vs_query.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_stepwise_vs_query.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        datasets=FIGURE_PARTS["stepwise_vs_query"],
        trained_on=EXPERIMENT.routers.trained_on[0],
        version=STAGE["figures"],
    message:
        "Drawing stepwise routers beside query-level ones"
    script:
        "../scripts/plot_stepwise_vs_query.py"


rule plot_oracle_region:
    input:
        curves=f"{RESULTS}/tables/curves.csv",
    output:
        pdf=figure_files("oracle_region", "pdf"),
        png=reported_files(
            "oracle_region", "Main results", "TRIM-Thr against the query-level oracle"
        ),
    log:
        f"{RESULTS}/logs/plot_oracle_region.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_oracle_region.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        datasets=EXPERIMENT.evaluated_on,
        trained_on=EXPERIMENT.routers.trained_on[0],
        version=STAGE["figures"],
    message:
        "Drawing TRIM-Thr against the query-level oracle"
    script:
        "../scripts/plot_oracle_region.py"


rule plot_budgeted:
    input:
        budgeted=f"{RESULTS}/tables/budgeted.csv",
    output:
        pdf=figure_files("budgeted", "pdf"),
        png=reported_files("budgeted", "Main results", "fixed budgets"),
    log:
        f"{RESULTS}/logs/plot_budgeted.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_budgeted.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        datasets=EXPERIMENT.evaluated_on,
        trained_on=EXPERIMENT.routers.trained_on[0],
        version=STAGE["figures"],
    message:
        "Drawing what routers recover at fixed budgets"
    script:
        "../scripts/plot_budgeted.py"


rule plot_interventions:
    input:
        interventions=f"{RESULTS}/tables/interventions.csv",
    output:
        pdf=figure_files("interventions", "pdf"),
        png=reported_files(
            "interventions", "Diagnostics", "calls of the strong model that pay"
        ),
    log:
        f"{RESULTS}/logs/plot_interventions.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_interventions.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        datasets=EXPERIMENT.evaluated_on,
        trained_on=EXPERIMENT.routers.trained_on[0],
        version=STAGE["figures"],
    message:
        "Drawing how many calls of the strong model solve a problem"
    script:
        "../scripts/plot_interventions.py"


rule plot_transfer_curves:
    input:
        curves=f"{RESULTS}/tables/curves.csv",
    output:
        pdf=figure_files("transfer_curves", "pdf"),
        png=reported_files(
            "transfer_curves", "Generalization", "routers trained elsewhere"
        ),
    log:
        f"{RESULTS}/logs/plot_transfer_curves.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_transfer_curves.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        datasets=EXPERIMENT.evaluated_on,
        trained_on=EXPERIMENT.routers.trained_on,
        version=STAGE["figures"],
    message:
        "Drawing routers on datasets that they were not trained on"
    script:
        "../scripts/plot_transfer_curves.py"


rule plot_generalization_matrix:
    input:
        generalization=f"{RESULTS}/tables/generalization.csv",
    output:
        pdf=figure_files("generalization_matrix", "pdf"),
        png=reported_files(
            "generalization_matrix",
            "Generalization",
            "matrix of training and evaluation",
        ),
    log:
        f"{RESULTS}/logs/plot_generalization_matrix.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_generalization_matrix.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        version=STAGE["figures"],
    message:
        "Drawing routers by training and evaluation dataset"
    script:
        "../scripts/plot_generalization_matrix.py"


rule plot_prm_quality_routing:
    input:
        routing=f"{RESULTS}/tables/prm_routing.csv",
    output:
        pdf=figure_files("prm_quality_routing", "pdf"),
        png=reported_files("prm_quality_routing", "Ablations", "what PRM quality buys"),
    log:
        f"{RESULTS}/logs/plot_prm_quality_routing.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_prm_quality_routing.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        dataset=HOME,
        version=STAGE["figures"],
    message:
        "Drawing what PRM quality buys"
    script:
        "../scripts/plot_prm_quality_routing.py"


rule plot_ablations:
    input:
        ablations=f"{RESULTS}/tables/ablations.csv",
    output:
        pdf=figure_files("ablations", "pdf"),
        png=reported_files("ablations", "Ablations", "differences in ΔIBC"),
    log:
        f"{RESULTS}/logs/plot_ablations.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_ablations.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        version=STAGE["figures"],
    message:
        "Drawing what each choice is worth"
    script:
        "../scripts/plot_ablations.py"


rule plot_controls:
    input:
        curves=f"{RESULTS}/tables/curves.csv",
    output:
        pdf=figure_files("controls", "pdf"),
        png=reported_files("controls", "Ablations", "controls and variants"),
    log:
        f"{RESULTS}/logs/plot_controls.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_controls.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        datasets=FIGURE_PARTS["controls"],
        trained_on=EXPERIMENT.routers.trained_on[0],
        version=STAGE["figures"],
    message:
        "Drawing controls and variants"
    script:
        "../scripts/plot_controls.py"


rule plot_strong_calls:
    input:
        calls=f"{RESULTS}/tables/strong_calls.csv",
        curves=f"{RESULTS}/tables/curves.csv",
    output:
        pdf=figure_files("strong_calls", "pdf"),
        png=reported_files("strong_calls", "Diagnostics", "calls of the strong model"),
    log:
        f"{RESULTS}/logs/plot_strong_calls.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_strong_calls.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        datasets=FIGURE_PARTS["strong_calls"],
        trained_on=EXPERIMENT.routers.trained_on[0],
        version=STAGE["figures"],
    message:
        "Drawing where the strong model is called"
    script:
        "../scripts/plot_strong_calls.py"


rule plot_prm_reliability:
    input:
        quality=f"{RESULTS}/tables/prm_quality.csv",
        reliability=f"{RESULTS}/tables/prm_reliability.csv",
        histogram=f"{RESULTS}/tables/prm_histogram.csv",
    output:
        pdf=figure_files("prm_reliability", "pdf"),
        png=reported_files("prm_reliability", "Diagnostics", "PRM reliability"),
    log:
        f"{RESULTS}/logs/plot_prm_reliability.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_prm_reliability.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        version=STAGE["figures"],
    message:
        "Drawing the reliability of the PRMs"
    script:
        "../scripts/plot_prm_reliability.py"


rule plot_observation_model:
    input:
        solved=expand(
            f"{RESULTS}/routers/trim-pomdp/{{trained_on}}/default.npz",
            trained_on=FIGURE_PARTS["observation_model"],
        ),
    output:
        pdf=figure_files("observation_model", "pdf"),
        png=reported_files(
            "observation_model", "Diagnostics", "observation model of TRIM-POMDP"
        ),
    log:
        f"{RESULTS}/logs/plot_observation_model.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_observation_model.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        datasets=FIGURE_PARTS["observation_model"],
        version=STAGE["figures"],
    message:
        "Drawing the observation models"
    script:
        "../scripts/plot_observation_model.py"


rule plot_joint_observation:
    input:
        solved=expand(
            f"{RESULTS}/routers/trim-pomdp/{{trained_on}}/released.npz",
            trained_on=FIGURE_PARTS["joint_observation"],
        ),
    output:
        pdf=figure_files("joint_observation", "pdf"),
        png=reported_files(
            "joint_observation",
            "Diagnostics",
            "observation model of TRIM-POMDP, released",
        ),
    log:
        f"{RESULTS}/logs/plot_joint_observation.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_joint_observation.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        datasets=FIGURE_PARTS["joint_observation"],
        version=STAGE["figures"],
    message:
        "Drawing the joint observation models"
    script:
        "../scripts/plot_joint_observation.py"


rule plot_pomdp_policy:
    input:
        solved=expand(
            f"{RESULTS}/routers/trim-pomdp/{{trained_on}}/default.npz",
            trained_on=FIGURE_PARTS["pomdp_policy"],
        ),
    output:
        pdf=figure_files("pomdp_policy", "pdf"),
        png=reported_files("pomdp_policy", "Diagnostics", "decisions of TRIM-POMDP"),
    log:
        f"{RESULTS}/logs/plot_pomdp_policy.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_pomdp_policy.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        datasets=FIGURE_PARTS["pomdp_policy"],
        version=STAGE["figures"],
    message:
        "Drawing the decisions of TRIM-POMDP"
    script:
        "../scripts/plot_pomdp_policy.py"


rule plot_learning_curves:
    input:
        folders=[path for router in LEARNED_ROUTERS for path in fitted_for(router)],
    output:
        pdf=figure_files("learning_curves", "pdf"),
        png=reported_files("learning_curves", "Diagnostics", "learning curves"),
    log:
        f"{RESULTS}/logs/plot_learning_curves.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_learning_curves.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        datasets=FIGURE_PARTS["learning_curves"],
        version=STAGE["figures"],
    message:
        "Drawing how routers learned"
    script:
        "../scripts/plot_learning_curves.py"


rule plot_decision_map:
    input:
        folders=[
            fitted_of("trim-agg", source)[0] for source in FIGURE_PARTS["decision_map"]
        ],
        scores=expand(
            f"{RESULTS}/scores/{EXPERIMENT.pair.prm}/{{trained_on}}.router_train.parquet",
            trained_on=FIGURE_PARTS["decision_map"],
        ),
    output:
        pdf=figure_files("decision_map", "pdf"),
        png=reported_files("decision_map", "Diagnostics", "decisions of TRIM-Agg"),
    log:
        f"{RESULTS}/logs/plot_decision_map.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_decision_map.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        datasets=FIGURE_PARTS["decision_map"],
        version=STAGE["figures"],
    message:
        "Drawing the decisions of TRIM-Agg"
    script:
        "../scripts/plot_decision_map.py"
