# One rule draws every figure: trim/figures/registry.py says which there are, and what each is drawn from.


rule plot_figure:
    input:
        unpack(figure_inputs),
    output:
        pdf=f"{RESULTS}/figures/{{figure}}.pdf",
        png=report(
            f"{RESULTS}/figures/{{figure}}.png",
            caption="../report/figure.rst",
            category=lambda wildcards: get_drawing(wildcards).figure.category,
            labels=lambda wildcards: get_drawing(wildcards).labels,
        ),
    log:
        f"{RESULTS}/logs/plot_figure/{{figure}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_figure/{{figure}}.tsv"
    wildcard_constraints:
        figure="[^/]+",
    conda:
        "../../envs/analysis.yaml"
    params:
        figure=lambda wildcards: get_drawing(wildcards).figure.name,
        caption=lambda wildcards: get_drawing(wildcards).caption(EXPERIMENT),
        arguments=lambda wildcards: get_drawing(wildcards).arguments(EXPERIMENT),
        version=STAGE["figures"],
    message:
        "Drawing {wildcards.figure}"
    script:
        "../scripts/plot_figure.py"
