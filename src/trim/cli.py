"""The command `trim`: what is handier outside the workflow."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from trim.errors import ConfigError, TrimError

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Tools around the TRIM workflow.")


@app.callback()
def main() -> None:
    """Tools around the TRIM workflow; the experiment itself runs through `make reproduce` or `snakemake`."""


@app.command()
def config(
    write: Annotated[bool, typer.Option("--write", help="Write the generated files.")] = False,
    overlay: Annotated[
        list[Path] | None,
        typer.Option("--check", help="Check config.yaml with this overlay on top; give it again for further ones."),
    ] = None,
) -> None:
    """Check the config, or generate config.yaml, its page and its schema from the models."""
    from trim.config.experiment import config_hash
    from trim.config.reading import missing_files, read_experiment
    from trim.documents.config_pages import stale_files, write_files

    root = Path.cwd()
    if write:
        write_files(root)
    stale = stale_files(root)
    if stale:
        typer.echo(f"out of date: {', '.join(map(str, stale))}; run `trim config --write`", err=True)
        raise typer.Exit(1)
    try:
        experiment = read_experiment(root, overlay or [])
        for missing in missing_files(experiment):
            raise ConfigError(missing)
    except TrimError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    typer.echo(f"{experiment.experiment}: config {config_hash(experiment)} is valid")


@app.command()
def golden(
    overlay: Annotated[Path, typer.Argument(help="Overlay of the experiment, such as config/qwen_math.yaml.")],
    out: Annotated[Path, typer.Argument(help="File to write; name it under prms.<name>.golden.")],
    prm: Annotated[str | None, typer.Option(help="Entry of `prms`; by default the one that routes.")] = None,
) -> None:
    """Compute a served PRM's golden scores with the transformers backend, on the CPU."""
    from trim.config.models import ServedPRM
    from trim.config.reading import read_experiment
    from trim.models.served.golden import write_golden

    try:
        experiment = read_experiment(Path.cwd(), [overlay])
        spec = experiment.prms.get(prm or experiment.pair.prm)
        if not isinstance(spec, ServedPRM):
            raise ConfigError(f"{overlay}: prms.{prm or experiment.pair.prm} is no served PRM")
        write_golden(spec, out)
    except (TrimError, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    typer.echo(f"{out}: golden scores of {spec.name}")


@app.command()
def readme(
    results: Annotated[Path, typer.Option(help="Results of the embedded experiment.")] = Path("results/embedded"),
) -> None:
    """Fill the generated part of README.md from results."""
    from trim.documents.readme import fill_readme

    try:
        fill_readme(Path.cwd(), results)
    except TrimError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    typer.echo("README.md and docs/figures are up to date with the results")


if __name__ == "__main__":
    sys.exit(app())
