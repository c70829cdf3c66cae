#!/usr/bin/env bash
# Makes sure that the tests find a Redis server, and installs one where they do not.
#
# The tests start servers of their own on free loopback ports; all they need is the
# program. GOVERNANCE_TEST_REDIS_SERVER names another one, GOVERNANCE_TEST_REDIS_URL a
# server to use instead where a test needs no power over it.
set -euo pipefail

[ -z "${GOVERNANCE_TEST_REDIS_URL:-}" ] || exit 0
for program in "${GOVERNANCE_TEST_REDIS_SERVER:-redis-server}" valkey-server; do
  if command -v "$program" >/dev/null 2>&1; then
    exit 0
  fi
done
echo "redis-server is missing; installing it"
install=(apt-get install -y --no-install-recommends redis-server)
if command -v apt-get >/dev/null 2>&1; then
  if [ "$(id -u)" = 0 ]; then
    sudo=()
  else
    sudo=(sudo -n)
  fi
  export DEBIAN_FRONTEND=noninteractive
  # A daemon of the package's own is not wanted: RUNLEVEL=1 keeps it from starting.
  if "${sudo[@]}" apt-get update -qq && "${sudo[@]}" env RUNLEVEL=1 "${install[@]}" >/dev/null; then
    redis-server --version
    exit 0
  fi
fi
echo "error: no redis-server on PATH. Install it, for example with:" >&2
echo "  sudo ${install[*]}" >&2
echo "or set GOVERNANCE_TEST_REDIS_URL to a server the tests may use." >&2
exit 1
