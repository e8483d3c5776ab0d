FROM busybox
COPY . /all
COPY docs /docs
