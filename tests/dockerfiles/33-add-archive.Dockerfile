FROM busybox
ADD data/bundle.tar /bundle/
COPY data/bundle.tar /
ADD app/main.py /bundle/
