# Everything that the workflow runs on, in one image:
#
#   docker build --tag trim .                     (--build-arg TORCH_INDEX_URL=<index of CPU builds> spares GPU libraries)
#   docker run --rm --volume "$PWD:/work" trim --cores all --configfile /opt/trim/config/smoke.yaml
#
# Results land in the mounted folder. The same image for Apptainer, on machines without Docker:
#
#   apptainer build trim.sif docker-daemon://trim:latest
FROM python:3.11-slim

ARG TORCH_INDEX_URL=
RUN apt-get update && apt-get install --yes --no-install-recommends make git g++ && rm -rf /var/lib/apt/lists/*
COPY . /opt/trim
RUN make -C /opt/trim install TORCH_INDEX_URL="$TORCH_INDEX_URL"
ENV PATH=/opt/trim/.venv/bin:$PATH OMP_WAIT_POLICY=PASSIVE
WORKDIR /work
ENTRYPOINT ["snakemake", "--snakefile", "/opt/trim/Snakefile", "--directory", "/work"]
