#!/usr/bin/env bash
# A real S3 endpoint on this machine, for tests: Ceph's RADOS gateway over one monitor and one store in memory.
#
#   tests/s3_server.sh start FOLDER PORT    prints "http://127.0.0.1:PORT ACCESS_KEY SECRET_KEY" once it answers
#   tests/s3_server.sh stop FOLDER
#
# Needs the Debian packages ceph-mon ceph-osd radosgw ceph-common; exits 77 without them. Nothing outlives FOLDER.
set -euo pipefail

usage() { sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 2; }
[ $# -ge 2 ] || usage
folder=$(realpath -m "$2")

stop_all() {
  for file in "$folder"/run/*.pid; do
    [ -e "$file" ] || continue
    pid=$(<"$file")
    kill "$pid" 2>/dev/null || continue
    for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
  done
}

if [ "$1" = stop ]; then stop_all; exit 0; fi
[ "$1" = start ] && [ $# = 3 ] || usage
port=$3
for program in ceph ceph-mon ceph-osd radosgw radosgw-admin monmaptool ceph-authtool; do
  command -v "$program" >/dev/null || { echo "$0: $program is not installed" >&2; exit 77; }
done

mkdir -p "$folder"/{monitor,store,gateway,run,log}
config=$folder/ceph.conf
cluster=$(cat /proc/sys/kernel/random/uuid)
monitor="[v2:127.0.0.1:$((port + 1)),v1:127.0.0.1:$((port + 2))]"
cat > "$config" <<CONF
[global]
fsid = $cluster
mon host = $monitor
public addr = 127.0.0.1
ms bind ipv6 = false
keyring = $folder/keyring
admin socket = $folder/run/\$name.asok
pid file = $folder/run/\$name.pid
log file = $folder/log/\$name.log
mon data = $folder/monitor
mon data avail crit = 1
mon data avail warn = 2
mon allow pool size one = true
mon max pg per osd = 1000
osd data = $folder/store
osd objectstore = memstore
memstore device bytes = 2147483648
osd crush chooseleaf type = 0
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
rgw data = $folder/gateway
rgw frontends = beast endpoint=127.0.0.1:$port
CONF
log=$folder/log/start.log
trap 'status=$?; [ $status = 0 ] || { echo "$0: failed, see $log" >&2; stop_all; }' EXIT
{
  ceph-authtool "$folder/keyring" --create-keyring --gen-key -n mon. --cap mon 'allow *'
  ceph-authtool "$folder/keyring" --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *'
  monmaptool --create --clobber --fsid "$cluster" --addv a "$monitor" "$folder/monmap"
  ceph-mon -c "$config" -i a --mkfs --monmap "$folder/monmap" --keyring "$folder/keyring"
  ceph-mon -c "$config" -i a
  id=$(ceph -c "$config" osd create)
  ceph -c "$config" auth get-or-create "osd.$id" mon 'allow profile osd' osd 'allow *' >> "$folder/keyring"
  ceph-osd -c "$config" -i "$id" --mkfs
  ceph -c "$config" osd crush add "osd.$id" 1.0 root=default host=localhost
  ceph-osd -c "$config" -i "$id"
  radosgw -c "$config" -n client.admin
  for _ in $(seq 120); do
    curl -fs -o /dev/null "http://127.0.0.1:$port/" && break
    sleep 0.5
  done
  curl -fs -o /dev/null "http://127.0.0.1:$port/"
  radosgw-admin -c "$config" user create --uid=kvcast --display-name=kvcast --access-key=kvcast --secret=not-a-secret
} > "$log" 2>&1 < /dev/null
echo "http://127.0.0.1:$port kvcast not-a-secret"
