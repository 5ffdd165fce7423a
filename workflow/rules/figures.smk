rule plot_accuracy_vs_cost:
    input:
        curves=f"{RESULTS}/tables/curves.csv",
        published=PUBLISHED,
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
        published=EXPERIMENT.pair.published,
        version=STAGE["figures"],
    message:
        "Drawing accuracy against cost on {wildcards.dataset}"
    script:
        "../scripts/plot_accuracy_vs_cost.py"


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
