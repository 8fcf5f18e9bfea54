#!/usr/bin/env bash
# A wrapper of rustc (RUSTC_WRAPPER) that builds for libFuzzer: counters, compared values, checked
# arithmetic, in our crates and in those that read bytes for us. The rest, most of it arithmetic of
# signatures, is built as for a release: ten times the speed, and no counters that say nothing.
set -euo pipefail
rustc=$1
shift

name=
previous=
for argument in "$@"; do
  [ "$previous" = --crate-name ] && name=$argument
  previous=$argument
done

flags=(--cfg fuzzing)
case $name in
  griptrace_* | records | bundle | tile | note | proofs | trust | policy | verify | verify_raw | judge | store | \
    minicbor | coset | ciborium* | base64 | toml | toml_parser | toml_datetime | winnow | serde_spanned)
    flags+=(
      -Cpasses=sancov-module
      -Cllvm-args=-sanitizer-coverage-level=4
      -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
      -Cllvm-args=-sanitizer-coverage-pc-table
      -Cllvm-args=-sanitizer-coverage-trace-compares
      -Cllvm-args=-sanitizer-coverage-stack-depth
      -Cllvm-args=-simplifycfg-branch-fold-threshold=0
      -Cdebug-assertions
      -Ccodegen-units=1
    )
    ;;
esac
exec "$rustc" "$@" "${flags[@]}"
