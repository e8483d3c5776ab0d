# syntax=docker/dockerfile:1
FROM busybox AS tools
COPY scripts /tools/

FROM busybox
RUN --mount=from=tools,source=/tools,target=/t sh /t/start.sh > /said
COPY docs /docs
