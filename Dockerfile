# syntax=docker/dockerfile:1
# One file, two tags: TORCH_INDEX_URL names the index with torch's build for the tag, its CPU wheels or those of one CUDA
# version; empty takes the build that pip finds by itself. The rest is the same, at the versions of requirements.lock.
# The base is named by its patch version; pin it by digest where your registry mirrors it.
FROM python:3.11.14-slim-bookworm AS build

# For what comes as source alone.
RUN apt-get update \
    && apt-get install --no-install-recommends --yes gcc g++ libc6-dev make \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /app
ENV PYTHONPATH=/app \
    HF_HOME=/var/cache/huggingface \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore \
    PATH=/opt/venv/bin:$PATH
RUN python -m venv /opt/venv

# From what changes least to what changes most: torch, the other packages, the weights, the code.
COPY requirements.in requirements.lock ./
ARG TORCH_INDEX_URL=""
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m pip install ${TORCH_INDEX_URL:+--index-url "$TORCH_INDEX_URL"} "$(grep '^torch==' requirements.lock)"
# What the product imports, without what tests and trains it, at the versions of the lock.
RUN --mount=type=cache,target=/root/.cache/pip \
    sed '/^# training, tests, linters/,$d' requirements.in > product.in \
    && python -m pip install --requirement product.in --constraint requirements.lock
# Models of a hub, for serve_patch.yaml of the gpu overlay, in the files that the product itself loads; empty for none.
ARG LANGUAGE_MODEL=""
ARG SENTIMENT_TRANSFORMER=""
RUN mkdir -p "$HF_HOME" && python -c "import sys, transformers as t; \
    [(t.AutoTokenizer.from_pretrained(id), kind.from_pretrained(id)) for kind, id in \
    zip((t.AutoModelForCausalLM, t.AutoModelForSequenceClassification), sys.argv[1:]) if id]" \
    "$LANGUAGE_MODEL" "$SENTIMENT_TRANSFORMER"
COPY models models
COPY serve_config.yaml .
COPY pipelines pipelines
COPY store store
COPY deployments deployments
COPY supervisor supervisor
# Our own writer; then what built all this goes, and every module is compiled once.
RUN python -m supervisor.writer \
    && rm -rf .murmuration/base requirements.in requirements.lock product.in \
    && python -m pip uninstall --yes pip setuptools \
    && /usr/local/bin/python -m compileall -q pipelines store deployments supervisor


FROM python:3.11.14-slim-bookworm

# KubeRay's probes run bash, wget and grep; the slim image lacks wget. Whoever runs this owns no file of it.
RUN apt-get update \
    && apt-get install --no-install-recommends --yes wget \
    && rm -rf /var/lib/apt/lists/* \
    && python -m pip uninstall --yes --root-user-action ignore pip setuptools wheel \
    && useradd --uid 1000 --home-dir /tmp --no-create-home murmuration

COPY --from=build /opt/venv /opt/venv
COPY --from=build /var/cache/huggingface /var/cache/huggingface
COPY --from=build /app /app
WORKDIR /app
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    HF_HOME=/var/cache/huggingface

USER 1000:1000
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=6s --start-period=3m --retries=3 \
    CMD wget --quiet --output-document=/dev/null http://127.0.0.1:8000/readyz || exit 1
# What it writes about itself goes to /tmp: the image is not its own.
CMD ["python", "-m", "supervisor.main", "--data", "/tmp/murmuration"]
