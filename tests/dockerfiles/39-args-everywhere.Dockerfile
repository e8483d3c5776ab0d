FROM busybox
ARG COMMIT=unknown
ARG BUILD_DATE
ENV COMMIT=$COMMIT
RUN echo expensive > /expensive
COPY app/main.py /app/
LABEL commit=$COMMIT date=$BUILD_DATE
