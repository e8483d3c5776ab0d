FROM busybox
COPY ["data/with space.txt", "/data/"]
ADD [ "app/main.py", "app/util.py", "/app/" ]
RUN ["/bin/sh", "-c", "cat '/data/with space.txt' > /copy"]
RUN ['not', 'json'] || true
VOLUME ["/data"]
SHELL ["/bin/sh", "-e", "-c"]
RUN echo "after the shell" > /after
ENTRYPOINT ["/bin/sh"]
