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
    overlay: Annotated[Path | None, typer.Option("--check", help="Check config.yaml with this overlay on top.")] = None,
) -> None:
    """Check the config, or generate config.yaml, its page and its schema from the models."""
    import yaml
    from snakemake.utils import update_config

    from trim.config import config_hash, parse_config
    from trim.config_files import stale_files, write_files

    root = Path.cwd()
    if write:
        write_files(root)
    stale = stale_files(root)
    if stale:
        typer.echo(f"out of date: {', '.join(map(str, stale))}; run `trim config --write`", err=True)
        raise typer.Exit(1)
    content = yaml.safe_load((root / "config.yaml").read_text(encoding="utf-8"))
    try:
        if overlay is not None:
            try:
                changes = yaml.safe_load(overlay.read_text(encoding="utf-8")) or {}
            except yaml.MarkedYAMLError as error:
                line = f" (line {error.problem_mark.line + 1})" if error.problem_mark else ""
                raise ConfigError(f"{overlay}: not valid YAML{line}: {error.problem}") from None
            if not isinstance(changes, dict):
                raise ConfigError(f"{overlay}: expected keys with values, found a {type(changes).__name__}")
            update_config(content, changes)
        experiment = parse_config(content)
    except (TrimError, OSError, yaml.YAMLError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    typer.echo(f"{experiment.experiment}: config {config_hash(experiment)} is valid")


@app.command()
def readme(
    results: Annotated[Path, typer.Option(help="Results of the embedded experiment.")] = Path("results/embedded"),
) -> None:
    """Fill the generated part of README.md from results."""
    from trim.readme import fill_readme

    try:
        fill_readme(Path.cwd(), results)
    except TrimError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    typer.echo("README.md and docs/figures are up to date with the results")


if __name__ == "__main__":
    sys.exit(app())
