FROM debian:bookworm-slim
RUN apt-get update
RUN apt-get install -y curl git
COPY app /app
RUN apt-get update && apt-get install -y --no-install-recommends \
        php-cli \
        unzip \
    && rm -rf /var/lib/apt/lists/*
