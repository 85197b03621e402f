# Regimen in a container: on the CPU, or on CUDA with --build-arg TORCH=cu128.
#
#   docker build -t regimen .
#   docker run --rm -v "$PWD/runs:/work/runs" regimen train ppo_cartpole
#   docker run --rm regimen test
#
# A test reads it; it is built where a builder exists.
ARG PYTHON=3.11
FROM python:${PYTHON}-slim-bookworm

# The wheels of torch: cpu, or what https://pytorch.org names for a version of CUDA, such as cu128.
ARG TORCH=cpu
# What else is installed: the extras of pyproject.toml.
ARG EXTRAS=box2d,cluster,data,export,search,video

# g++ compiles updates; git says which commit a run was made with; make runs the two commands.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ git make \
    && rm -rf /var/lib/apt/lists/*

RUN useradd --uid 1000 --create-home regimen && mkdir /work && chown regimen /work
USER 1000
ENV PATH=/home/regimen/venv/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /home/regimen/venv

# The largest layer first: it changes with the constraints alone.
WORKDIR /home/regimen/source
COPY --chown=regimen constraints.txt pyproject.toml ./
RUN pip install --constraint constraints.txt --extra-index-url "https://download.pytorch.org/whl/${TORCH}" torch
COPY --chown=regimen . .
RUN pip install --constraint constraints.txt --editable ".[${EXTRAS}]"

WORKDIR /work
ENTRYPOINT ["/home/regimen/source/deploy/entrypoint.sh"]
CMD ["--help"]
