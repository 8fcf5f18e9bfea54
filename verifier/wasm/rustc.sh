#!/usr/bin/env bash
# Calls the compiler (cargo's RUSTC_WRAPPER) so that the folder that a build lies in does not show in its bytes. Cargo
# gives each crate of ours a number made of the path that it lies at, the compiler makes names of functions of that number,
# and puts functions into the order of their names, which stays when the names are gone: the number becomes the crate's name.
# And where a machine keeps sources would stand in the messages of panics.
#
# GRIPTRACE_SOURCES is the checkout.
set -euo pipefail

name='' previous=''
for argument in "$@"; do
  [ "$previous" = --crate-name ] && name=$argument
  previous=$argument
done

arguments=()
for argument in "$@"; do
  case $name:$argument in
    griptrace*:metadata=*) argument=metadata=$name ;;
  esac
  arguments+=("$argument")
done
arguments+=("--remap-path-prefix=$GRIPTRACE_SOURCES=griptrace")
for sources in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/; do
  arguments+=("--remap-path-prefix=${sources%/}=crates")
done
exec "${arguments[@]}"
