FROM busybox
# comment
WORKDIR /app
COPY app/main.py \
     app/util.py \
     ./
RUN echo hi \
  && echo there
