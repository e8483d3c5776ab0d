FROM busybox AS base
RUN mkdir /work

FROM base AS left
COPY src/a.c /work/
RUN cp /work/a.c /work/left

FROM base AS right
COPY src/b.c /work/
RUN cp /work/b.c /work/right

FROM base AS never
COPY docs /work/docs

FROM base
COPY --from=left /work/left /left
COPY --from=right /work/right /right
RUN cat /left /right > /both
