"""Run the script of one rule in this process, and stop in a debugger where it fails.

    python -m trim.debug fit_router --configfile config/smoke.yaml \
        --wildcards router=trim-thr trained_on=arith variant=default run=0

The script gets the job that the workflow itself would give it: the Snakefile is read, and nothing is scheduled. What
the rule reads must be there. What it leaves is written where the workflow writes it, but Snakemake does not know of
it: let it make the files again (`--forcerun RULE`) before they count.
"""

from __future__ import annotations

import argparse
import pdb
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from trim.errors import ConfigError, InputError, TrimError

SNAKEFILE = Path("Snakefile")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script of a rule of the workflow in the current directory; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        with workflow_of(options.configfile) as workflow:
            script, snakemake = job_of(workflow, options.rule, _wildcards(options.wildcards))
            _check_inputs(snakemake, options.configfile)
    except TrimError as error:
        print(f"trim.debug: {error}", file=sys.stderr)
        return 2
    return run_script(script, snakemake, stop=not options.no_pdb)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m trim.debug", description="Run the script of one rule in this process, to debug it."
    )
    parser.add_argument("rule", help="name of the rule")
    parser.add_argument("--wildcards", nargs="+", default=[], metavar="NAME=VALUE", help="which of its jobs")
    parser.add_argument("--configfile", nargs="+", default=[], type=Path, metavar="FILE", help="laid over config.yaml")
    parser.add_argument("--no-pdb", action="store_true", help="print the traceback instead of opening a debugger")
    return parser


def _wildcards(pairs: Sequence[str]) -> dict[str, str]:
    for pair in pairs:
        if "=" not in pair:
            raise InputError(f"--wildcards {pair}: write it as NAME=VALUE")
    return dict(pair.split("=", 1) for pair in pairs)


@contextmanager
def workflow_of(configfiles: Sequence[Path] = ()) -> Iterator[Any]:
    """Read the Snakefile of the current directory, with configs laid over its own; nothing is planned or run.

    Raises
    ------
    ConfigError
        If there is no Snakefile, or if it or the config is wrong.
    """
    from snakemake.api import SnakemakeApi
    from snakemake.exceptions import ApiError, WorkflowError
    from snakemake.settings.types import ConfigSettings, OutputSettings, Quietness, ResourceSettings

    if not SNAKEFILE.is_file():
        raise ConfigError(f"there is no {SNAKEFILE} in {Path.cwd()}; start this where the workflow is")
    for path in configfiles:
        if not path.is_file():
            raise ConfigError(f"--configfile {path}: there is no such file")
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        try:
            yield api.workflow(
                resource_settings=ResourceSettings(cores=1),
                config_settings=ConfigSettings(configfiles=configfiles),
                snakefile=SNAKEFILE,
            )._workflow
        except (ApiError, WorkflowError) as error:
            raise ConfigError(str(error)) from error


def job_of(workflow: Any, name: str, wildcards: Mapping[str, str]) -> tuple[Path, Any]:
    """Return the script of one job of a rule, and what Snakemake puts into it.

    Raises
    ------
    InputError
        If there is no such rule or job.
    """
    from snakemake.iocontainers import Snakemake
    from snakemake.jobs import Job

    rules = {rule.name: rule for rule in workflow.rules if rule.script}
    if name not in rules:
        raise InputError(f"no rule {name!r} has a script; those that have one are {', '.join(sorted(rules))}")
    rule = rules[name]
    _check_wildcards(rule, wildcards)
    job = Job(rule, SimpleNamespace(workflow=workflow), dict(wildcards))  # all that it asks a plan for
    files = job.input, job.output, job.params, job.wildcards, job.threads, job.resources, job.log
    snakemake = Snakemake(*files, workflow.globals["config"], name, None)
    return Path(rule.basedir.join(rule.script).get_path_or_uri(secret_free=True)), snakemake


def _check_wildcards(rule: Any, wildcards: Mapping[str, str]) -> None:
    needed = sorted(rule.wildcard_names)
    if set(wildcards) != set(needed):
        given = ", ".join(wildcards) or "none"
        wanted = f"--wildcards {' '.join(f'{name}=...' for name in needed)}" if needed else "no --wildcards"
        raise InputError(f"rule {rule.name} takes {wanted}; given were: {given}")
    for name, pattern in rule.output[0].wildcard_constraints().items():
        if not pattern.fullmatch(wildcards[name]):
            raise InputError(f"rule {rule.name}: {name}={wildcards[name]} is none of {pattern.pattern}")


def _check_inputs(snakemake: Any, configfiles: Sequence[Path]) -> None:
    missing = [path for path in snakemake.input if not Path(path).exists()]
    if missing:
        overlays = f" --configfile {' '.join(map(str, configfiles))}" if configfiles else ""
        raise InputError(
            f"{missing[0]}, which rule {snakemake.rule} reads, is not there; make it first: "
            f"snakemake{overlays} {' '.join(missing)}"
        )


def run_script(script: Path, snakemake: Any, *, stop: bool = True) -> int:
    """Run a script with its job; return the exit status. `stop` opens a debugger where it fails."""
    code = compile(script.read_text(encoding="utf-8"), str(script), "exec")
    try:
        exec(code, {"__name__": "__main__", "__file__": str(script), "snakemake": snakemake})
    except (Exception, SystemExit) as error:
        # An error that a user can fix ends a job by `sys.exit`; what was raised before is what one wants to see.
        cause = error.__context__ if isinstance(error, SystemExit) and error.__context__ else error
        traceback.print_exception(cause)
        if stop:
            pdb.post_mortem(cause.__traceback__)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
