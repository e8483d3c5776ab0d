ARG PYTHON=3.12
ARG VARIANT=slim
FROM python:${PYTHON}-${VARIANT} AS base
ARG PYTHON
RUN echo "python $PYTHON" > /version

FROM base
COPY app /app
