FROM worker-base:1
WORKDIR /srv/app
ADD php/src /srv/app/php/src
RUN cd /srv/app/php/src && composer install
ADD python/src /srv/app/python/src
RUN pip install -r /srv/app/python/src/requirements.txt && pip install -e /srv/app/python/src
CMD ["python3", "-m", "shop"]
