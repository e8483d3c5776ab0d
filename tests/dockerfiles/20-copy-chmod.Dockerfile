# syntax=docker/dockerfile:1
FROM busybox
COPY --chmod=0755 scripts/start.sh /start
COPY --chmod=600 --chown=0:0 conf/nginx.conf /etc/nginx.conf
