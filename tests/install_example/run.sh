#!/usr/bin/env bash
# Installs kvcast to a temporary prefix, builds load_kv against it as a stranger would, and loads a packed cache with
# it: run.sh SOURCE_DIR BUILD_DIR.
set -euo pipefail
source_dir=$1 build_dir=$2
work=$(mktemp -d)
server=
finish() {
  [ -z "$server" ] || { kill "$server" && wait "$server"; } 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT

cmake --install "$build_dir" --prefix "$work/prefix" > "$work/install.log"
# The libraries may need their own flags again at the link (sanitizers).
flags=$(sed -n 's/^CMAKE_CXX_FLAGS:[A-Z]*=//p' "$build_dir/CMakeCache.txt")
cmake -S "$source_dir/tests/install_example" -B "$work/build" -DCMAKE_PREFIX_PATH="$work/prefix" \
  -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_FLAGS="$flags" -DCMAKE_CXX_FLAGS="$flags" > "$work/configure.log"
cmake --build "$work/build"

kvcast=$work/prefix/bin/kvcast
python3 "$source_dir/tests/install_example/write_kv.py" "$work/kv.safetensors"
"$kvcast" pack "$work/kv.safetensors" --out "$work/store" --chunk-tokens 64 --json > "$work/pack.json"
manifest=$(python3 -c 'import json, os, sys
print(os.path.relpath(json.load(open(sys.argv[1]))["manifest"], sys.argv[2]))' "$work/pack.json" "$work/store")

"$kvcast" serve "$work/store" --listen 127.0.0.1:0 --json > "$work/serve.json" 2> "$work/access.log" &
server=$!
until [ -s "$work/serve.json" ]; do
  kill -0 "$server" || { echo "kvcast serve ended" >&2; exit 1; }
  sleep 0.05
done
port=$(python3 -c 'import json, sys; print(json.loads(open(sys.argv[1]).readline())["port"])' "$work/serve.json")

"$work/build/load_kv" "http://127.0.0.1:$port/$manifest" 5000 | tee "$work/out"
grep -q '"tokens"' "$work/out"
grep -qx '3 of 3 layers ready' "$work/out"
echo "a missing presentation must fail with an error, not hang"
if "$work/build/load_kv" "http://127.0.0.1:$port/t/public/m/none.json" 5000; then exit 1; fi
