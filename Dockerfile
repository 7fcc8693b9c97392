# The image that every component of a compiled workflow runs in: `make image` (CPU), `make image VARIANT=cuda` (GPU).
# Built in two stages: the first one installs the product's dependencies at requirements.lock's versions, by checksum; the
# second one holds the result. Some dependencies are published as C++ source: the first stage's base has a compiler, the
# second one's (the same Python, slim) has none.
ARG VARIANT=cpu
ARG PYTHON=3.11

FROM python:${PYTHON}-bookworm AS build
ENV UV_LINK_MODE=copy UV_NO_CACHE=1
WORKDIR /build
COPY docker/uv.txt pyproject.toml requirements.lock docker/cuda.lock ./
RUN pip install --no-cache-dir --require-hashes -r uv.txt \
    && python -m venv --without-pip /opt/shelfmark
# The lock also names what only tests need; as constraints it gives versions and checksums to what the product asks for.
RUN uv pip install --require-hashes --compile-bytecode --requirement pyproject.toml --all-extras --group build \
      --constraint requirements.lock --python /opt/shelfmark/bin/python
# CUDA's libraries come as wheels, so the base is the same for both; the driver is the node's.
ARG VARIANT
RUN if [ "$VARIANT" = cuda ]; then \
      uv pip install --no-deps --require-hashes -r cuda.lock --python /opt/shelfmark/bin/python; \
    elif [ "$VARIANT" != cpu ]; then echo "VARIANT is cpu or cuda, not $VARIANT" >&2; exit 2; fi
COPY . /opt/shelfmark/app
# The context has no git that could tell the version; empty: pyproject.toml's fallback.
ARG VERSION=
RUN SETUPTOOLS_SCM_PRETEND_VERSION_FOR_SHELFMARK="$VERSION" \
    uv pip install --no-deps --no-build-isolation --editable /opt/shelfmark/app --python /opt/shelfmark/bin/python \
    && rm /opt/shelfmark/.lock

FROM python:${PYTHON}-slim-bookworm
ENV PATH=/opt/shelfmark/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    TF_CPP_MIN_LOG_LEVEL=1 \
    HOME=/tmp
COPY --from=build /opt/shelfmark /opt/shelfmark
# Kubeflow's launcher, which runs in this container, copies artifacts below these.
RUN useradd --uid 1000 --no-create-home --shell /usr/sbin/nologin shelfmark \
    && install -d -o shelfmark /minio /s3 /gcs /tmp/kfp /tmp/kfp_outputs
USER 1000
WORKDIR /opt/shelfmark/app
ENTRYPOINT ["python", "-m", "pipeline.kubeflow.container"]
