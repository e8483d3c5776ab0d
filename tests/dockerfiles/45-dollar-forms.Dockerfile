FROM busybox
ENV file=app.tar.gz
ENV short=${file%.*} long=${file%%.*} tail=${file#*.} ext=${file##*.}
LABEL escaped=\$file braces=${file}x quoted='${file}'
COPY app/main.py /${long}/
