"""Make the definition of an Apptainer image from the Dockerfile, so that there is one source of both.

python -m trim.documents.apptainer < Dockerfile > apptainer.def
"""

from __future__ import annotations

import json
import shlex
import sys
from collections import defaultdict

from trim.errors import InputError, one_sentence

HEAD = """# Made from the Dockerfile by `make apptainer.def`:
#
#   apptainer build trim.sif apptainer.def     (--build-arg TORCH_INDEX_URL=<index of CPU builds> spares GPU libraries)
#   apptainer run trim.sif --configfile config/smoke.yaml
#
# Results land in the folder where it is started.
"""
SECTIONS = ("arguments", "files", "post", "environment", "runscript")


def render(dockerfile: str) -> str:
    """Return the definition that builds what a Dockerfile builds.

    Raises
    ------
    InputError
        If it holds an instruction that has no counterpart here.
    """
    base, sections = "", defaultdict[str, list[str]](list)
    for line in dockerfile.splitlines():
        instruction, _, rest = line.partition(" ")
        match instruction:
            case "" | "#":
                pass
            case "FROM":
                base = rest
            case "ARG":
                name, _, default = rest.partition("=")
                sections["arguments"].append(f'{name}="{default}"')
                sections["post"].append(f'{name}="{{{{ {name} }}}}"')
            case "COPY":
                *files, place = shlex.split(rest)
                sections["files"] += [f"{file} {place}{file if place.endswith('/') else ''}" for file in files]
            case "RUN":
                sections["post"].append(rest)
            case "ENV":
                sections["environment"] += [f"export {pair}" for pair in rest.split()]
            case "ENTRYPOINT":
                sections["runscript"].append(f'exec {shlex.join(json.loads(rest))} "$@"')
            case "WORKDIR":  # Apptainer works where it is started
                pass
            case _:
                raise InputError(f"Dockerfile: {instruction} has no counterpart in apptainer.def; do without it")
    body = ["%" + name + "".join(f"\n    {line}" for line in sections[name]) + "\n" for name in SECTIONS]
    return f"Bootstrap: docker\nFrom: {base}\n\n{HEAD}\n" + "\n".join(body)


if __name__ == "__main__":
    with one_sentence():
        print(render(sys.stdin.read()), end="")
