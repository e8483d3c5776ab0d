FROM --platform=$BUILDPLATFORM busybox AS build
ARG TARGETARCH TARGETOS
COPY src /src
RUN echo "$TARGETOS/$TARGETARCH" > /target

FROM busybox
COPY --from=build /target /src/a.c /
