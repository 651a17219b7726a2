# The wheel's Triton on a slim Python: the same launcher as `make serve`. From the repository's root:
#   docker build -f docker/cpu.Dockerfile -t medserve-cpu .
# Models are mounted at /models. PIP_CERT: a CA bundle for pip behind a proxy that has its own.
ARG PYTHON_IMAGE=docker.io/library/python:3.12-slim-bookworm@sha256:782412e85d0f0984994c290652577d4018aff08145c85b262bb63dc0c7522254

FROM ${PYTHON_IMAGE} AS install
ARG PIP_CERT
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1
WORKDIR /src
COPY pyproject.toml constraints.txt ./
COPY preprocess preprocess
COPY queueing queueing
COPY report report
COPY server server
RUN python -m venv /opt/medserve \
    && /opt/medserve/bin/pip install --constraint constraints.txt '.[serve,image]' \
    && /opt/medserve/bin/pip uninstall --yes pip

FROM ${PYTHON_IMAGE}
COPY --from=install /opt/medserve /opt/medserve
# A tmpfs takes its mode from what it is mounted on (runc). Not below /run, over which podman lays one of its own.
RUN install --directory --mode=1777 /var/lib/medserve
# ALLOW_REMOTE: inside a container every caller is remote. Which callers come in, its ports and policies decide.
ENV PATH=/opt/medserve/bin:$PATH PYTHONDONTWRITEBYTECODE=1 HOST=0.0.0.0 ALLOW_REMOTE=1 DRAIN_DELAY_S=5
USER 1000:1000
WORKDIR /var/lib/medserve
EXPOSE 8000 8001 8002 8003
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=15s --start-period=120s --retries=3 CMD ["python", "-m", "server.ready"]
ENTRYPOINT ["dumb-init", "--single-child", "--", "python", "-m", "server", "--repository", "/models", "--runtime", "/var/lib/medserve"]
