# syntax=docker/dockerfile:1
# One file, two tags: TORCH_INDEX_URL names the index with torch's build for the tag, its CPU wheels or those of one CUDA
# version; empty takes the build that pip finds by itself. The rest is the same, at the versions of requirements.lock.
FROM python:3.11.14-slim-bookworm

# KubeRay's probes run bash, wget and grep; the slim image lacks wget.
RUN apt-get update \
    && apt-get install --no-install-recommends --yes wget \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --create-home murmuration \
    && install --directory --owner 1000 --group 1000 /var/cache/huggingface

WORKDIR /app
ENV PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HF_HOME=/var/cache/huggingface \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore

# From what changes least to what changes most: torch, the other packages, the weights, the code.
COPY requirements.lock .
ARG TORCH_INDEX_URL=""
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m pip install ${TORCH_INDEX_URL:+--index-url "$TORCH_INDEX_URL"} "$(grep '^torch==' requirements.lock)"
RUN --mount=type=cache,target=/root/.cache/pip python -m pip install --requirement requirements.lock
COPY models models
COPY serve_config.yaml .
COPY pipelines pipelines
COPY store store
COPY deployments deployments
COPY supervisor supervisor
RUN python -m supervisor.writer && rm -rf .murmuration/base

USER 1000:1000
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=6s --start-period=3m --retries=3 \
    CMD wget --quiet --output-document=/dev/null http://127.0.0.1:8000/readyz || exit 1
CMD ["python", "-m", "supervisor.main"]
