FROM worker-base:1 AS composer
WORKDIR /srv/app/php/src
COPY php/src/composer.json php/src/composer.lock ./
RUN composer install --no-dev --no-autoloader --no-scripts
COPY php/src ./
RUN composer dump-autoload --no-dev --optimize

FROM worker-base:1
WORKDIR /srv/app
COPY python/src/requirements.txt /srv/app/python/src/
RUN pip install -r /srv/app/python/src/requirements.txt
COPY python/src /srv/app/python/src
RUN pip install --no-deps -e /srv/app/python/src
COPY --from=composer /srv/app/php/src /srv/app/php/src
CMD ["python3", "-m", "shop"]
