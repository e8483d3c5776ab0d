# syntax=docker/dockerfile:1
FROM busybox
RUN --mount=type=secret,id=token,required test -s /run/secrets/token
RUN --mount=type=ssh,required=false true
COPY app/main.py /app/
