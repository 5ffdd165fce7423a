# TRIM: stepwise routing between two language models, from problems to figures.
#
#   snakemake --cores all                          the embedded experiment
#   snakemake --configfile config/smoke.yaml       the same workflow in a few minutes, on models that learn nothing
#   snakemake figures | tables | paper             one kind of result
#
# What each stage leaves behind is listed in results/README.md.

from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

from trim.config.parsing import parse_config
from trim.errors import TrimError
from trim.routers.registry import fitted_routers
from trim.slurm import end_forgotten_jobs

min_version("9.0")
end_forgotten_jobs()


# Where Snakemake works, or beside this file.
DEFAULTS = "config.yaml"


configfile: DEFAULTS if Path(DEFAULTS).is_file() else workflow.source_path(DEFAULTS)


# All that rules know of the config: checked, with every default filled in.
try:
    EXPERIMENT = parse_config(config)
    FITTED = fitted_routers(EXPERIMENT.routers)
except TrimError as error:
    raise WorkflowError(str(error)) from None


report: "workflow/report/workflow.rst"


# How many jobs share the rollouts of one dataset (--set-scatter shard=16 on a cluster); results do not depend on it.
scattergather:
    shard=1,


include: "workflow/rules/paths.smk"
include: "workflow/rules/params.smk"
include: "workflow/rules/routers_of.smk"
include: "workflow/rules/final.smk"
include: "workflow/rules/problems.smk"
include: "workflow/rules/models.smk"
include: "workflow/rules/rollouts.smk"
include: "workflow/rules/routers.smk"
include: "workflow/rules/evaluation.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/analysis.smk"
include: "workflow/rules/claims.smk"
include: "workflow/rules/explorer.smk"
include: "workflow/rules/paper.smk"


# Seconds of work: on a cluster, waiting for a node would take longer than the job.
localrules:
    all,
    tables,
    figures,
    paper,
    check_splits,
    read_solutions,
    gather_rollouts,
    gather_scores,
    compute_end_points,
    compute_misfit,
    compare_on_dev,
    plot_figure,
    build_explorer,
    build_calculator,
    write_numbers,
    build_paper,


rule all:
    default_target: True
    input:
        get_final_output(),


rule tables:
    input:
        TABLES,


rule figures:
    input:
        FIGURES,


rule paper:
    input:
        f"{RESULTS}/paper/main.pdf",
