FROM busybox AS s0
COPY app/main.py /0

FROM s0 AS s1
RUN cat /0 > /1

FROM s1 AS s2
RUN cat /1 > /2

FROM s2 AS s3
RUN cat /2 > /3

FROM s3 AS s4
RUN cat /3 > /4

FROM s4 AS s5
RUN cat /4 > /5

FROM s5 AS s6
RUN cat /5 > /6

FROM s6 AS s7
RUN cat /6 > /7

FROM s7 AS s8
RUN cat /7 > /8

FROM s8 AS s9
RUN cat /8 > /9

FROM s9 AS s10
RUN cat /9 > /10

FROM s10 AS s11
RUN cat /10 > /11

FROM s11 AS s12
RUN cat /11 > /12
COPY docs/readme.md /readme
