#!/usr/bin/env bash
# Installs what the tests with a server or a browser need. A package that cannot be had leaves its tests skipped by name.
set -u
need=()
command -v chromium >/dev/null || need+=(chromium)
{ command -v initdb || ls /usr/lib/postgresql/*/bin/initdb; } >/dev/null 2>&1 || need+=(postgresql)
[ ${#need[@]} -eq 0 ] && exit 0
if ! command -v apt-get >/dev/null; then
  echo "apt-get is not here; install by hand: ${need[*]}"
  exit 0
fi
run() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }
export DEBIAN_FRONTEND=noninteractive
run apt-get update -qq || true
for package in "${need[@]}"; do
  run apt-get install -y -qq --no-install-recommends "$package" >/dev/null || echo "could not install $package: its tests will be skipped"
done
