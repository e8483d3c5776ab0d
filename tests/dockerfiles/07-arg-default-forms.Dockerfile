ARG TAG
ARG NAME=${TAG:-python}
ARG EMPTY=
FROM ${NAME}:${TAG:+never}3.12${TAG-}-slim${EMPTY}
ARG LEVEL=1 MODE="a b"
ENV LEVEL=${LEVEL} MODE=$MODE
RUN echo "$LEVEL $MODE" > /level
COPY conf/nginx.conf /etc/$LEVEL.conf
