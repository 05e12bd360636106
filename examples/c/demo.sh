#!/usr/bin/env bash
# demo.sh BUILT: compiles demo.c against the library that cargo left in BUILT and runs it beside the test server from there.
set -euo pipefail
cd "$(dirname "$0")"
built=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
ln -s "$built/libreknock.so" "$scratch/libreknock.so"
ln -s "$built/libreknock.so" "$scratch/libreknock.so.0"
cc -std=c99 -Wall -Wextra -I ../../include demo.c -o "$scratch/demo" -L "$scratch" -Wl,-rpath,"$scratch" -lreknock

# The server ends when its standard input does, which is when this script ends.
coproc server { "$built/reknock-test-server"; }
read -r _ control <&"${server[0]}"
timeout 60 "$scratch/demo" "$control"
