FROM busybox
COPY *.txt /texts/
COPY src/?.c src/[ab].c /src/
COPY app/*.py conf/ngin*.conf /mixed/
