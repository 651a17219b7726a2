# Makes artefacts and, on the GPU that is to serve, plans. From the repository's root:
#   docker build -f docker/export.Dockerfile -t medserve-export .
#   docker run --rm --gpus all -v "$PWD/model_repository:/models" -v /weights:/weights:ro \
#       medserve-export models --repository /models --checkpoints /weights
#   docker run --rm --gpus all -v "$PWD/model_repository:/models" medserve-export engines --repository /models
# NVIDIA's PyTorch of the month of the Triton that serves: the same TensorRT, without which a plan does not load.
ARG PYTORCH_IMAGE=nvcr.io/nvidia/pytorch:26.11-py3
FROM ${PYTORCH_IMAGE}
ARG PIP_CERT
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
USER root
WORKDIR /src
COPY pyproject.toml constraints.txt ./
COPY preprocess preprocess
COPY queueing queueing
COPY report report
COPY server server
COPY export export
COPY model_repository model_repository
COPY examples examples
# The image's torch, torchvision and TensorRT stay: they were built for each other and for its CUDA. The image has a
# constraints file of its own in PIP_CONSTRAINT, which pip would apply next to ours: no version satisfies both.
RUN grep -v -E '^(torch|torchvision|tensorrt[a-z0-9_-]*|nvidia-[a-z0-9_-]*)==' constraints.txt > others.txt \
    && PIP_CONSTRAINT='' python3 -m pip install --break-system-packages --constraint others.txt '.[launch,export-all]'
USER 1000:1000
ENV PYTHONDONTWRITEBYTECODE=1
ENTRYPOINT ["python3", "-m", "export"]
