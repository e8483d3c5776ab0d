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
need ssh openssh-client
need sshd openssh-server
need gpg gnupg
need nsenter util-linux
need skopeo skopeo
need podman podman
need ip iproute2
need php php-cli
need composer composer
need unzip unzip
[ -n "$(ls /usr/lib/postgresql/*/bin/initdb 2>/dev/null)" ] || need initdb postgresql
# Compose 2, which Debian has from its release 13 on.
composed() {
    for home in /usr/local/lib /usr/libexec /usr/lib; do
        [ ! -x "$home/docker/cli-plugins/docker-compose" ] || return 0
    done
    return 1
}
composed || missing="$missing docker-compose"
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
# What this release has under a name, and whether that is Compose 2, is two questions: 12 still has Compose 1.
case "$missing" in
*docker-compose*)
    if ! apt-cache policy docker-compose | grep -q 'Candidate: [2-9]'; then
        missing=$(echo "$missing" | sed 's/ docker-compose//')
        own=$(mktemp -d)
        mkdir -p "$own/lists/partial" /usr/local/lib/docker/cli-plugins
        cat /etc/apt/sources.list /etc/apt/sources.list.d/debian* 2>/dev/null |
            grep -v '^#' | sed -E 's/^(Suites:) .*/\1 trixie/; s/^(deb .*) [a-z]+ (main.*)$/\1 trixie \2/' |
            awk 'BEGIN { RS = ""; ORS = "\n\n" } !/security/ { print; exit }' >"$own/next.sources"
        # Their own lists, so that nothing else is ever taken from there.
        next="-o Dir::Etc::SourceList=$own/next.sources -o Dir::Etc::SourceParts=/dev/null"
        next="$next -o Dir::State::lists=$own/lists -o APT::Sandbox::User=root"
        # shellcheck disable=SC2086  # a list of options
        (cd "$own" && apt-get $next update -qq && apt-get $next download -qq docker-compose)
        dpkg -x "$own"/docker-compose_*.deb "$own/tree"
        cp "$own/tree/usr/libexec/docker/cli-plugins/docker-compose" /usr/local/lib/docker/cli-plugins/
        rm -r "$own"
    fi
    ;;
esac
[ -n "$missing" ] || exit 0
# shellcheck disable=SC2086  # a list of package names
apt-get install -y -qq --no-install-recommends $missing >/dev/null
