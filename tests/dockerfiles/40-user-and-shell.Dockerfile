FROM busybox
RUN echo 'app:x:1000:1000::/srv:/bin/sh' >> /etc/passwd
USER app
WORKDIR /srv/job
COPY app/util.py .
SHELL ["/bin/busybox", "sh", "-c"]
USER root
RUN cat util.py > /copy
