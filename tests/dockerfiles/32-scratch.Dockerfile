FROM busybox AS pick
COPY conf /etc/conf

FROM scratch
COPY --from=pick /bin/busybox /bin/sh
COPY --from=pick /etc/conf/nginx.conf /nginx.conf
COPY docs /docs
