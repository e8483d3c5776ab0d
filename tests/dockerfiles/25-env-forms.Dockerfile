FROM busybox
ENV OLD some value with blanks
ENV A=1 B="two words" C=three\ words D='$A'
ENV E=${A}${B:+-set} F=${NOPE:-fallback}
ENV PATH=/opt/bin:$PATH
WORKDIR /$A
COPY conf/nginx.conf ${F}/
RUN echo "$OLD $C $D $E" > /env
