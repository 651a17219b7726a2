# NVIDIA's Triton with what reads files and writes reports. From the repository's root:
#   docker build -f docker/gpu.Dockerfile -t medserve-gpu .
# Models are mounted at /models. The profile follows the GPU: plans that fit it, else onnxruntime on CUDA, else the CPU.
# It builds plans too, on the GPU that is to serve, with the TensorRT that is to load them:
#   docker run --rm --gpus all -v "$PWD/model_repository:/models" --entrypoint python3 \
#       medserve-gpu -m export engines --repository /models
ARG TRITON_IMAGE=nvcr.io/nvidia/tritonserver:26.11-py3
FROM ${TRITON_IMAGE}
ARG PIP_CERT
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1
USER root
WORKDIR /src
COPY pyproject.toml constraints.txt ./
COPY preprocess preprocess
COPY queueing queueing
COPY report report
COPY server server
COPY export export
# Triton's workers embed the image's own python3, so packages go where it looks; its distribution forbids that by default.
# TensorRT's Python bindings are of the version of the image's library, so the plan's builder is the plan's server.
RUN python3 -m pip install --break-system-packages --constraint constraints.txt '.[launch,cpu,image,plans]' \
    && python3 -m pip install --break-system-packages --constraint constraints.txt --no-deps \
        "tensorrt-cu13-bindings==$(python3 -m server.nvinfer).*" \
    && rm -rf /src/* && install --directory --mode=1777 /var/lib/medserve
ENV PYTHONDONTWRITEBYTECODE=1 HOST=0.0.0.0 DRAIN_DELAY_S=5
USER 1000:1000
WORKDIR /var/lib/medserve
EXPOSE 8000 8001 8002 8003
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=15s --start-period=300s --retries=3 CMD ["python3", "-m", "server.ready"]
ENTRYPOINT ["dumb-init", "--single-child", "--", "python3", "-m", "server", "--repository", "/models", "--runtime", "/var/lib/medserve"]
