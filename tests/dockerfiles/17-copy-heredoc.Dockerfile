# syntax=docker/dockerfile:1.4
FROM busybox
ENV NAME=world
COPY <<greeting.txt <<-'raw.txt' /etc/
hello $NAME
greeting.txt
	hello $NAME
	raw.txt
ADD --chmod=755 <<"run.sh" /usr/bin/run.sh
#!/bin/sh
exec "$@"
run.sh
COPY scripts/start.sh /
