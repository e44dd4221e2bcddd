#!/usr/bin/env bash
# Installs Debian's Chromium for the browser tests, where none is there.
set -euo pipefail

browser=${CHROMIUM_BIN:-/usr/bin/chromium}
if [ -x "$browser" ]; then
  echo "$browser is there"
  exit 0
fi
if [ -n "${CHROMIUM_BIN:-}" ]; then
  echo "CHROMIUM_BIN names $browser, which is not there" >&2
  exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null || ! sudo -n true 2>/dev/null; then
    echo "Chromium is not there and only root may install it: apt-get install chromium, or set CHROMIUM_BIN" >&2
    exit 1
  fi
  as_root=(sudo -n)
fi
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" apt-get install -y -qq --no-install-recommends chromium
