#!/usr/bin/env bash
# Builds the verifier for the page and prints where it is: with rustup's standard library for wasm32-unknown-unknown, or
# else with Debian's compiler for it (packages rustc-web, cargo-web, rust-web-src, lld-19), which builds it along.
set -euo pipefail

cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
target=${CARGO_TARGET_DIR:-$root/target}/web

libraries=$(rustc --print target-libdir --target wasm32-unknown-unknown 2>/dev/null || true)
if [ -n "$(find "$libraries" -name 'libstd-*.rlib' -print -quit 2>/dev/null)" ]; then
  cargo=cargo std=()
elif [ -x /usr/bin/cargo ] && command -v wasm-ld-19 >/dev/null &&
  [ -d "$(/usr/bin/rustc --print sysroot)/lib/rustlib/src/rust/library" ]; then
  # A release that takes unstable flags only with RUSTC_BOOTSTRAP. A folder of its own, since the compiler is another.
  export RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-ld-19
  cargo=/usr/bin/cargo std=(-Z build-std=std,panic_abort) target=$target-debian
else
  echo "no standard library for wasm32-unknown-unknown: rustup target add wasm32-unknown-unknown," >&2
  echo "or on Debian: apt-get install rustc-web cargo-web rust-web-src lld-19" >&2
  exit 1
fi

# The bytes are those of the sources and the compiler, whatever folder either lies in: rustc.sh.
export GRIPTRACE_SOURCES=$root RUSTC_WRAPPER=$root/verifier/wasm/rustc.sh
"$cargo" fetch --locked >&2
RUSTFLAGS="-C target-feature=+simd128" CARGO_TARGET_DIR=$target "$cargo" build --release --locked \
  --target wasm32-unknown-unknown ${std[@]+"${std[@]}"} >&2
echo "$target/wasm32-unknown-unknown/release/griptrace_verifier_wasm.wasm"
