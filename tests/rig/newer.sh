#!/bin/sh
# newer.sh DIRECTORY: unpacks the Docker engine, its client and buildx of Debian's next release there, as root. The
# machine's own ones stay. Where to get packages from is what apt of this machine is told, with the release's name.
set -eu
directory=$1 system=$1/system now=bookworm next=trixie
[ ! -e "$system/usr/sbin/dockerd" ] || exit 0
apt=$directory/apt
mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$system"
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
    [ ! -e "$file" ] || grep -q "$now" "$file" || continue
    [ ! -e "$file" ] || sed "s/ $now-updates//; s/$now/$next/g" "$file" >"$apt/$(basename "$file")"
done
mkdir -p "$apt/parts"
find "$apt" -maxdepth 1 \( -name '*.list' -o -name '*.sources' \) -exec mv {} "$apt/parts/" \;
cat >"$apt/conf" <<END
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$apt/parts";
Dir::State::lists "$apt/lists";
Dir::Cache "$apt/cache";
Dir::State::status "/dev/null";
Debug::NoLocking "1";
END
export APT_CONFIG="$apt/conf"
apt-get update -qq
# With an empty list of what is installed, everything that they need comes along.
apt-get install -y -qq --download-only --no-install-recommends docker.io docker-cli docker-buildx iptables >/dev/null
for place in bin sbin lib lib64; do
    mkdir -p "$system/usr/$place"
    ln -sfn "usr/$place" "$system/$place"
done
for package in "$apt"/cache/archives/*.deb; do
    dpkg-deb -x "$package" "$system"
done
rm -rf "$apt"
# What is only unpacked has no alternatives yet.
ln -sfn iptables-nft "$system/usr/sbin/iptables"
ln -sfn ip6tables-nft "$system/usr/sbin/ip6tables"
mkdir -p "$directory/bin"
for place in tmp proc sys dev run; do
    mkdir -p "$system/$place"
done
# What is called through this sees the machine's /tmp, processes and devices, and else only what was unpacked. The root is
# that of its namespace: whoever enters one (as `docker exec` does) would see the machine's with chroot.
for program in docker dockerd; do
    cat >"$directory/bin/$program" <<END
#!/bin/sh
exec unshare --mount --propagation private sh -c '
root=\$1; shift
mount --bind "\$root" "\$root"
for place in tmp proc sys dev; do mount --rbind "/\$place" "\$root/\$place"; done
mount -t tmpfs tmpfs "\$root/run"
mkdir "\$root/run/machine"
cd "\$root"
pivot_root . run/machine
exec "\$@"' sh "$system" $program "\$@"
END
    chmod +x "$directory/bin/$program"
done
