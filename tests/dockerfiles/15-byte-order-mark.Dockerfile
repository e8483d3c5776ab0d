FROM busybox
COPY requirements.txt /
