# syntax=docker/dockerfile:1.2
FROM python:3.12-slim
RUN --mount=type=cache,target=/root/.cache/pip --mount=type=bind,source=requirements.txt,target=/tmp/requirements.txt \
    pip install -r /tmp/requirements.txt
RUN --mount=type=tmpfs,target=/scratch touch /scratch/x
RUN --mount=target=/context,rw ls /context/src > /listing
COPY app /app
