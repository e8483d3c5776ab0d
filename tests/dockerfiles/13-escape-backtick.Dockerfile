# escape=`
FROM busybox
COPY conf/nginx.conf `
     /etc/
RUN echo c:\dir > /windows && `
    # a comment between
    echo more >> /windows
ENV HERE=a` b
LABEL path="c:\\tools"
