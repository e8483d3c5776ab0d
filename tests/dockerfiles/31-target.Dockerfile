FROM busybox AS build
COPY src /src
RUN cat /src/a.c > /built

FROM build AS test
COPY app /app
RUN test -e /app/main.py

FROM busybox AS release
COPY --from=build /built /bin/built
