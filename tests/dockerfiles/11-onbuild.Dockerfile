FROM busybox AS template
ONBUILD COPY app/main.py /app/
ONBUILD RUN wc -l /app/main.py > /lines

FROM template
COPY app/util.py /app/
