FROM busybox
MAINTAINER somebody@example.com
LABEL org.opencontainers.image.title="the rest" \
      multi="two \
words"
EXPOSE 80 443/tcp
EXPOSE 1000-1002/udp
VOLUME /data /logs
STOPSIGNAL SIGINT
USER root
HEALTHCHECK --interval=5m --timeout=3s CMD wc -l /etc/passwd || exit 1
HEALTHCHECK NONE
COPY Makefile /
WORKDIR /srv
WORKDIR app
COPY app/main.py .
CMD exec sh
