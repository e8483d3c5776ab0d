FROM busybox
COPY docs /docs
RUN echo the end \
