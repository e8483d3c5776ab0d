FROM debian:bookworm-slim
COPY src/ /src/
RUN cat /src/a.c /src/b.c > /out

FROM busybox
COPY --from=0 /out /bin/out
