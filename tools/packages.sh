# Debian 12 packages, and what each is for. Sourced by tools/demo and tools/test.
build_packages=(
  g++ cmake ninja-build      # the toolchain
  libboost1.81-dev           # Beast and Asio: the origin
  libcurl4-openssl-dev       # the player's transfers; uploads to S3 and origins
  libssl-dev                 # SHA-256
  libxxhash-dev              # section hashes
  nlohmann-json3-dev         # manifests, safetensors headers, reports
  libfmt-dev                 # messages
  libcli11-dev               # command lines
  libopenblas-dev            # matrix products of the pocket engine
  libeigen3-dev              # eigenvectors of calibration
  zlib1g-dev                 # DEFLATE of the evaluation's baseline
  libpcre2-dev               # the tokenizer's own regular expressions
  libhtscodecs-dev libzstd-dev liblz4-dev  # public codecs beside ours in kvcast bench codec
  pkg-config
)
demo_packages=(python3)      # drives the demo's processes
test_packages=(
  libgtest-dev libgmock-dev  # unit tests
  python3 python3-jsonschema # the manifest's schema
  nginx-light curl openssl   # real peers of player and origin
  varnish prometheus systemd # check the configurations and metrics of the origin; varnish also the player
  wrk slowhttptest           # load the origin (and nginx) in tools/bench_origin.py, tools/bench_hostile.py
  chromium                   # draws the report's page
  qemu-user                  # the codec on CPUs without newer instructions
)
full_test_packages=(ceph-mon ceph-osd radosgw ceph-common)  # a real S3 gateway: tests/s3_server.sh
fuzz_packages=(clang-16 libclang-rt-16-dev)  # libFuzzer: tools/fuzz
