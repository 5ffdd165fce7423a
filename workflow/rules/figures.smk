rule plot_accuracy_vs_cost:
    input:
        curves=f"{RESULTS}/tables/curves.csv",
    output:
        pdf=f"{RESULTS}/figures/accuracy_vs_cost_{{dataset}}.pdf",
        png=report(
            f"{RESULTS}/figures/accuracy_vs_cost_{{dataset}}.png",
            caption="../report/accuracy_vs_cost.rst",
            category="Main results",
            labels={"figure": "accuracy against cost", "dataset": "{dataset}"},
        ),
    log:
        f"{RESULTS}/logs/plot_accuracy_vs_cost/{{dataset}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_accuracy_vs_cost/{{dataset}}.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        trained_on=EXPERIMENT.routers.trained_on[0],
        version=STAGE["figures"],
    message:
        "Drawing accuracy against cost on {wildcards.dataset}"
    script:
        "../scripts/plot_accuracy_vs_cost.py"


rule plot_controls:
    input:
        curves=f"{RESULTS}/tables/curves.csv",
    output:
        pdf=f"{RESULTS}/figures/controls_{{dataset}}.pdf",
        png=report(
            f"{RESULTS}/figures/controls_{{dataset}}.png",
            caption="../report/controls.rst",
            category="Ablations",
            labels={"figure": "controls and variants", "dataset": "{dataset}"},
        ),
    log:
        f"{RESULTS}/logs/plot_controls/{{dataset}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_controls/{{dataset}}.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        trained_on=EXPERIMENT.routers.trained_on[0],
        version=STAGE["figures"],
    message:
        "Drawing controls and variants on {wildcards.dataset}"
    script:
        "../scripts/plot_controls.py"


rule plot_strong_calls:
    input:
        calls=f"{RESULTS}/tables/strong_calls.csv",
        curves=f"{RESULTS}/tables/curves.csv",
    output:
        pdf=f"{RESULTS}/figures/strong_calls_{{dataset}}.pdf",
        png=report(
            f"{RESULTS}/figures/strong_calls_{{dataset}}.png",
            caption="../report/strong_calls.rst",
            category="Diagnostics",
            labels={"figure": "calls of the strong model", "dataset": "{dataset}"},
        ),
    log:
        f"{RESULTS}/logs/plot_strong_calls/{{dataset}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_strong_calls/{{dataset}}.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        trained_on=EXPERIMENT.routers.trained_on[0],
        version=STAGE["figures"],
    message:
        "Drawing where the strong model is called on {wildcards.dataset}"
    script:
        "../scripts/plot_strong_calls.py"


rule plot_prm_reliability:
    input:
        quality=f"{RESULTS}/tables/prm_quality.csv",
        reliability=f"{RESULTS}/tables/prm_reliability.csv",
        histogram=f"{RESULTS}/tables/prm_histogram.csv",
    output:
        pdf=f"{RESULTS}/figures/prm_reliability.pdf",
        png=report(
            f"{RESULTS}/figures/prm_reliability.png",
            caption="../report/prm_reliability.rst",
            category="Diagnostics",
            labels={"figure": "PRM reliability", "dataset": "all"},
        ),
    log:
        f"{RESULTS}/logs/plot_prm_reliability.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_prm_reliability.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        version=STAGE["figures"],
    message:
        "Drawing the reliability of the PRMs"
    script:
        "../scripts/plot_prm_reliability.py"


rule plot_observation_model:
    input:
        solved=f"{RESULTS}/routers/trim-pomdp/{{trained_on}}/default.npz",
    output:
        pdf=f"{RESULTS}/figures/observation_model_{{trained_on}}.pdf",
        png=report(
            f"{RESULTS}/figures/observation_model_{{trained_on}}.png",
            caption="../report/observation_model.rst",
            category="Diagnostics",
            labels={
                "figure": "observation model of TRIM-POMDP",
                "dataset": "{trained_on}",
            },
        ),
    log:
        f"{RESULTS}/logs/plot_observation_model/{{trained_on}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_observation_model/{{trained_on}}.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        version=STAGE["figures"],
    message:
        "Drawing the observation model of {wildcards.trained_on}"
    script:
        "../scripts/plot_observation_model.py"


rule plot_joint_observation:
    input:
        solved=f"{RESULTS}/routers/trim-pomdp/{{trained_on}}/released.npz",
    output:
        pdf=f"{RESULTS}/figures/joint_observation_{{trained_on}}.pdf",
        png=report(
            f"{RESULTS}/figures/joint_observation_{{trained_on}}.png",
            caption="../report/joint_observation.rst",
            category="Diagnostics",
            labels={
                "figure": "observation model of TRIM-POMDP, released",
                "dataset": "{trained_on}",
            },
        ),
    log:
        f"{RESULTS}/logs/plot_joint_observation/{{trained_on}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_joint_observation/{{trained_on}}.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        version=STAGE["figures"],
    message:
        "Drawing the joint observation model of {wildcards.trained_on}"
    script:
        "../scripts/plot_joint_observation.py"


rule plot_pomdp_policy:
    input:
        solved=f"{RESULTS}/routers/trim-pomdp/{{trained_on}}/default.npz",
    output:
        pdf=f"{RESULTS}/figures/pomdp_policy_{{trained_on}}.pdf",
        png=report(
            f"{RESULTS}/figures/pomdp_policy_{{trained_on}}.png",
            caption="../report/pomdp_policy.rst",
            category="Diagnostics",
            labels={"figure": "decisions of TRIM-POMDP", "dataset": "{trained_on}"},
        ),
    log:
        f"{RESULTS}/logs/plot_pomdp_policy/{{trained_on}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_pomdp_policy/{{trained_on}}.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        version=STAGE["figures"],
    message:
        "Drawing the decisions of TRIM-POMDP on {wildcards.trained_on}"
    script:
        "../scripts/plot_pomdp_policy.py"


rule plot_learning_curves:
    input:
        folders=get_learned,
    output:
        pdf=f"{RESULTS}/figures/learning_curves_{{trained_on}}.pdf",
        png=report(
            f"{RESULTS}/figures/learning_curves_{{trained_on}}.png",
            caption="../report/learning_curves.rst",
            category="Diagnostics",
            labels={"figure": "learning curves", "dataset": "{trained_on}"},
        ),
    log:
        f"{RESULTS}/logs/plot_learning_curves/{{trained_on}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_learning_curves/{{trained_on}}.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        version=STAGE["figures"],
    message:
        "Drawing how routers learned on {wildcards.trained_on}"
    script:
        "../scripts/plot_learning_curves.py"


rule plot_decision_map:
    input:
        folder=get_mapped_policy,
        scores=f"{RESULTS}/scores/{EXPERIMENT.pair.prm}/{{trained_on}}.router_train.parquet",
    output:
        pdf=f"{RESULTS}/figures/decision_map_{{trained_on}}.pdf",
        png=report(
            f"{RESULTS}/figures/decision_map_{{trained_on}}.png",
            caption="../report/decision_map.rst",
            category="Diagnostics",
            labels={"figure": "decisions of TRIM-Agg", "dataset": "{trained_on}"},
        ),
    log:
        f"{RESULTS}/logs/plot_decision_map/{{trained_on}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_decision_map/{{trained_on}}.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        version=STAGE["figures"],
    message:
        "Drawing the decisions of TRIM-Agg on {wildcards.trained_on}"
    script:
        "../scripts/plot_decision_map.py"
