# syntax=docker/dockerfile:1.4
FROM busybox
COPY --link requirements.txt /deps/
COPY --link app /app/
COPY --link=false conf /conf/
COPY --link docs /docs/
