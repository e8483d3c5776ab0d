FROM python:3.12-slim
COPY --from=uv:latest /usr/bin/uv /bin/uv
WORKDIR /app
COPY pyproject.toml uv.lock ./
RUN --mount=type=cache,target=/root/.cache/uv uv sync --locked --no-install-project
COPY . .
RUN uv sync --locked
CMD ["uv", "run", "shop"]
