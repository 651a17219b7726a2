# The front door: REST, a page, keys, an audit trail. No Triton, no model. From the repository's root:
#   docker build -f docker/gateway.Dockerfile -t medserve-gateway .
# PIP_CERT: a CA bundle for pip behind a proxy that has its own.
ARG PYTHON_IMAGE=docker.io/library/python:3.12-slim-bookworm@sha256:782412e85d0f0984994c290652577d4018aff08145c85b262bb63dc0c7522254

FROM ${PYTHON_IMAGE} AS install
ARG PIP_CERT
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1
WORKDIR /src
COPY pyproject.toml constraints.txt ./
COPY client client
COPY gateway gateway
RUN python -m venv /opt/medserve \
    && /opt/medserve/bin/pip install --constraint constraints.txt './client[cli,overlay]' '.[gateway,image]' \
    && /opt/medserve/bin/pip uninstall --yes pip

FROM ${PYTHON_IMAGE}
# RDKit draws molecules with Cairo, which is linked against them. Debian keeps one version of each: the one without holes.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libxext6 libxrender1 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=install /opt/medserve /opt/medserve
# The audit log's place where it is SQLite: a volume takes its owner from here.
RUN install --directory --owner=1000 --group=1000 --mode=0700 /var/lib/medserve
# ALLOW_REMOTE: inside a container every caller is remote. Which callers come in, its ports and policies decide.
ENV PATH=/opt/medserve/bin:$PATH PYTHONDONTWRITEBYTECODE=1 GATEWAY_HOST=0.0.0.0 ALLOW_REMOTE=1 \
    AUDIT_URL=sqlite:////var/lib/medserve/audit.sqlite3
USER 1000:1000
WORKDIR /var/lib/medserve
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["python", "-m", "gateway.listens"]
ENTRYPOINT ["dumb-init", "--single-child", "--", "python", "-m", "gateway"]
