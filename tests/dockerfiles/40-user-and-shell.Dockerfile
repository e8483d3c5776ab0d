FROM busybox
RUN echo 'app:x:1000:1000::/home:/bin/sh' >> /etc/passwd
USER app
WORKDIR /home/work
COPY app/util.py .
SHELL ["/bin/busybox", "sh", "-c"]
USER root
RUN cat util.py > /copy
