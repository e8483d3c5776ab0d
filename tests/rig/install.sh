#!/bin/sh
# What the tests need besides Python: real servers. Installs it on Debian as root, and else says what is missing.
set -eu

missing=""
need() { # PROGRAM PACKAGE
    PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
need git git
need redis-server redis-server
need dockerd docker.io
need docker-registry docker-registry
need busybox busybox-static
need openssl openssl
need skopeo skopeo
need podman podman
need ip iproute2
need php php-cli
need composer composer
need unzip unzip
[ -n "$(ls /usr/lib/postgresql/*/bin/initdb 2>/dev/null)" ] || need initdb postgresql
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "note: tests that need these will be skipped (Debian's names):$missing" >&2
    echo "note: as root, \`make test\` installs them; under CI=true they are a failure" >&2
    exit 0
fi

echo "installing:$missing" >&2
export DEBIAN_FRONTEND=noninteractive
# The tests start servers of their own, on private ports; the packages' own ones are not to be started.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
    trap 'rm -f "$policy"' EXIT
fi
apt-get update -qq
# shellcheck disable=SC2086  # a list of package names
apt-get install -y -qq --no-install-recommends $missing >/dev/null
