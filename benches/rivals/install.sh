#!/usr/bin/env bash
# Installs what the figures are measured beside, under target/rivals: b3sum 1.8.7, and
# ml-metadata 1.17.1 into an environment of its own. What is there already is kept.
#
# Needs cargo, and a Python of 3.9 to 3.11: for others ml-metadata has no wheel.
#
#   benches/rivals/install.sh            both
#   benches/rivals/install.sh b3sum      that one
set -euo pipefail

cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target/rivals"
rivals=$(cd "$target/rivals" && pwd)

install_b3sum() {
  if [ "$("$rivals/bin/b3sum" --version 2>/dev/null)" = "b3sum 1.8.7" ]; then
    echo "b3sum 1.8.7 is there"
    return
  fi
  cargo install --locked --version 1.8.7 --root "$rivals" b3sum
}

has_mlmd() {
  "$rivals/mlmd/bin/python" -c '
from importlib.metadata import version
import ml_metadata
assert version("ml-metadata") == "1.17.1"' 2>/dev/null
}

install_mlmd() {
  if has_mlmd; then
    echo "ml-metadata 1.17.1 is there"
    return
  fi
  local python
  python=$(find_python)
  rm -rf "$rivals/mlmd"
  "$python" -m venv "$rivals/mlmd"
  "$rivals/mlmd/bin/pip" install --quiet --only-binary ml-metadata "ml-metadata==1.17.1"
  has_mlmd || {
    echo "ml-metadata was installed and cannot be loaded" >&2
    return 1
  }
  echo "ml-metadata 1.17.1 is installed, for $("$python" --version)"
}

# Asks each Python itself, because a name on the path may stand for one that is not installed.
find_python() {
  local name
  for name in python3.11 python3.10 python3.9 python3; do
    if "$name" -c 'import sys, venv; sys.exit(not (3, 9) <= sys.version_info[:2] <= (3, 11))' 2>/dev/null; then
      echo "$name"
      return
    fi
  done
  echo "no Python of 3.9 to 3.11 is on the path" >&2
  return 1
}

if [ $# -eq 0 ]; then
  set -- b3sum mlmd
fi
for rival in "$@"; do
  case $rival in
    b3sum) install_b3sum ;;
    mlmd) install_mlmd ;;
    *)
      echo "no rival is called $rival: b3sum, mlmd" >&2
      exit 2
      ;;
  esac
done
