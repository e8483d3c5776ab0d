FROM busybox AS base
RUN mkdir /w

FROM base AS left
COPY src/a.c /w/
RUN cp /w/a.c /w/left

FROM base AS right
COPY src/b.c /w/
RUN cp /w/b.c /w/right

FROM base AS never
COPY docs /w/docs

FROM base
COPY --from=left /w/left /left
COPY --from=right /w/right /right
RUN cat /left /right > /both
