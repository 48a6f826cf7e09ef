#!/usr/bin/env bash
# Runs the article's 403 fits as a 64-bit Arm machine would, emulated by qemu: `benchmarks/arm.sh [FOLDER]`.
#
# Needs Debian 12 on x86-64, apt-get with root's rights, pip, and about 3 GB in FOLDER (build/arm). It installs
# qemu-user-static, adds the architecture arm64 to this machine's apt, and lays Debian's arm64 Python 3.11 and the
# aarch64 wheels of this project's lock out in FOLDER; nothing of the two is installed. Half an hour or more.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
folder=$(mkdir -p "${1:-build/arm}" && cd "${1:-build/arm}" && pwd)
python=${PYTHON:-.venv/bin/python}

if [ ! -e "$folder/system/usr/bin/python3.11" ]; then
  dpkg --add-architecture arm64
  apt-get update -qq
  apt-get install -qq -y --no-install-recommends qemu-user-static >/dev/null
  mkdir -p "$folder/debs" "$folder/system"
  packages=(libc6 libgcc-s1 libstdc++6 zlib1g libexpat1 python3.11-minimal libpython3.11-minimal
    libpython3.11-stdlib libffi8 libbz2-1.0 liblzma5 libssl3 libcrypt1 libuuid1 libsqlite3-0 libgomp1)
  (cd "$folder/debs" && apt-get download -qq "${packages[@]/%/:arm64}")
  for deb in "$folder"/debs/*.deb; do dpkg -x "$deb" "$folder/system"; done
fi

if [ ! -d "$folder/site/numpy" ]; then
  # TensorFlow's own requirements, as its wheel names them; Keras and TensorBoard are not imported.
  names=(numpy scipy tensorflow h5py grpcio ml-dtypes wrapt protobuf absl-py astunparse flatbuffers gast google-pasta
    opt-einsum packaging requests six termcolor typing-extensions wheel setuptools keras urllib3 idna certifi
    charset-normalizer rich namex optree)
  platforms=(--platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64
    --platform manylinux_2_17_aarch64 --platform manylinux2014_aarch64)
  wanted=()
  for name in "${names[@]}"; do
    wanted+=("$(grep -om 1 "^$name==[^ ;]*" requirements.lock || { echo "requirements.lock has no $name" >&2; exit 1; })")
  done
  "$python" -m pip download -q --dest "$folder/wheels" --only-binary=:all: --no-deps --python-version 3.11 \
    "${platforms[@]}" "${wanted[@]}"
  mkdir -p "$folder/site"
  for wheel in "$folder"/wheels/*.whl; do "$python" -m zipfile -e "$wheel" "$folder/site"; done
fi

code=0  # one that is not exact does not keep the other from running
for engine in numpy tensorflow; do
  echo "== $engine on aarch64, emulated"
  qemu-aarch64-static -L "$folder/system" -E PYTHONPATH="$PWD:$folder/site" -E ALHELPERS_ENGINE="$engine" \
    -E PYTHONDONTWRITEBYTECODE=1 -E OPENBLAS_NUM_THREADS=1 \
    "$folder/system/usr/bin/python3.11" -m alhelpers.running.exact notebooks "$folder" "$engine" || code=$?
done
exit "$code"
