# Everything that the workflow runs on, in one image:
#
#   docker build --tag trim .                     (--build-arg TORCH_INDEX_URL=<index of CPU builds> spares GPU libraries)
#   docker run --rm --volume "$PWD:/work" trim --configfile config/smoke.yaml
#
# Results land in the mounted folder. apptainer.def is made from this file (`make apptainer.def`), for machines without
# Docker.
FROM python:3.11-slim

ARG TORCH_INDEX_URL=
RUN apt-get update && apt-get install --yes --no-install-recommends make g++ && rm -rf /var/lib/apt/lists/*
COPY Makefile pyproject.toml setup.py requirements.lock README.md LICENSE Snakefile config.yaml /opt/trim/
COPY src /opt/trim/src
COPY workflow /opt/trim/workflow
COPY config /opt/trim/config
COPY profiles /opt/trim/profiles
COPY envs /opt/trim/envs
COPY data/published /opt/trim/data/published
COPY paper /opt/trim/paper
RUN make -C /opt/trim install TORCH_INDEX_URL="$TORCH_INDEX_URL"
ENV PATH=/opt/trim/.venv/bin:$PATH OMP_WAIT_POLICY=PASSIVE
WORKDIR /work
ENTRYPOINT ["trim", "run"]
