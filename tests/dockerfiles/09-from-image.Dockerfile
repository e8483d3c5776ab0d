FROM busybox
COPY --from=composer:2 /usr/bin/composer /usr/local/bin/composer
COPY composer.json composer.lock /app/
RUN composer install --working-dir=/app --no-dev
