# syntax=docker/dockerfile:1
# escape=\

# A comment, and one = that is no directive
# escape=`
FROM busybox
COPY conf/nginx.conf /etc/
RUN echo one \
    two
