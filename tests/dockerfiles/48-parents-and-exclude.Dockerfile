# syntax=docker/dockerfile:1-labs
FROM busybox
COPY --parents app/main.py src/a.c /tree/
COPY --exclude=*.md --exclude=Makefile . /most/
