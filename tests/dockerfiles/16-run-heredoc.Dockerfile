# syntax=docker/dockerfile:1
FROM busybox
RUN <<EOF
set -e
echo one > /one
FROM=not-an-instruction
COPY=neither
EOF
RUN <<-"END" sh -e
	cat /one > /two
	END
COPY app /app
