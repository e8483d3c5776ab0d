FROM busybox
RUN echo 'app:x:1000:1000::/:/bin/sh' >> /etc/passwd && echo 'app:x:1000:' >> /etc/group
COPY --chown=1000:1000 app/main.py /app/main.py
COPY --chown=app:app app/util.py /app/
ADD --chown=1000 conf /etc/conf/
