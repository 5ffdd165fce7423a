"""Solve the test problems of a dataset as routers would that know the truth, on the trees that others explored."""

from trim.jobs import open_job
from trim.routers.oracles import first_error_table, optimum_table

with open_job(snakemake) as job:
    with job.trees(job.wildcards.dataset, "test", labelled=True) as (trees,):
        tables = {"first-error-oracle": first_error_table(trees), "perfect-information": optimum_table(trees)}
    for name, path in job.output.items():
        router, trained_on = name.split("/")
        job.write_parquet(tables[router].assign(trained_on=trained_on), path)
