#!/usr/bin/env bash
# Runs every test of the workspace: unit tests, integration tests and doctests.
# Arguments are passed on to cargo: `scripts/test.sh --doc`, `scripts/test.sh NAME`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

./scripts/redis.sh
exec cargo test --workspace --locked "$@"
