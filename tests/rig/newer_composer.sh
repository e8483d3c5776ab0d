#!/bin/sh
# newer_composer.sh DIRECTORY: puts the Composer of Debian's next release there, to be run as DIRECTORY/usr/bin/composer by
# the PHP of this machine, whose own Composer stays. Where to get packages from is what apt of this machine is told, with
# the release's name. What both releases have in the same way is taken from here: it is half a megabyte.
set -eu
directory=$1 now=bookworm next=trixie
[ ! -e "$directory/usr/bin/composer" ] || exit 0
mkdir -p "$(dirname "$directory")"
making=$(mktemp -d "$directory.XXXXXX")
trap 'rm -rf "$making"' EXIT
apt=$making/apt
mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/parts" "$making/usr/share"
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
    [ ! -e "$file" ] || ! grep -q "$now" "$file" ||
        sed "s/ $now-updates//; s/$now/$next/g" "$file" >"$apt/parts/$(basename "$file")"
done
cat >"$apt/conf" <<END
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$apt/parts";
Dir::State::lists "$apt/lists";
Dir::Cache "$apt/cache";
Debug::NoLocking "1";
APT::Sandbox::User "$(id -un)";
END
export APT_CONFIG="$apt/conf"
apt-get update -qq
apt-get install -y -qq --download-only --no-install-recommends composer >/dev/null
cp -R /usr/share/php "$making/usr/share/php"
for package in "$apt"/cache/archives/*.deb; do
    dpkg-deb -x "$package" "$making"
done
# They name each other by where they would be installed.
find "$making/usr/share/php" -name autoload.php -exec sed -i "s|'/usr/share/php/|'$directory/usr/share/php/|" {} +
rm -rf "$apt"
[ -e "$directory" ] || mv "$making" "$directory"
