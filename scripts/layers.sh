#!/usr/bin/env bash
# Proves the dependency arrows between the crates of this workspace, and that
# every member takes the workspace lints.
#
# The arrows are judged on the resolved tree of normal dependencies with all
# features on, so a forbidden crate is found however deep it hides. Crates that
# do not exist yet are skipped; a crate under crates/ without a rule is an error.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

failures=0
ok() { printf 'ok    %s\n' "$*"; }
skip() { printf 'skip  %s\n' "$*"; }
fail() {
  printf 'FAIL  %s\n' "$*" >&2
  failures=$((failures + 1))
}

# One line per member: "name vVERSION (PATH)".
members=$(cargo tree --workspace --locked --depth 0 --prefix none --no-dedupe | sed '/^$/d' | sort -u)
[ -n "$members" ] || { echo "error: the workspace has no members" >&2; exit 1; }
member_names=$(awk '{ print $1 }' <<<"$members")
exists() { grep -qx -- "$1" <<<"$member_names"; }

normal_tree() { # crate, further arguments
  local crate=$1
  shift
  cargo tree --locked --all-features -e normal -p "$crate" --prefix none "$@"
}

ruled=""

# forbid CRATE PATTERN: no package in CRATE's tree, itself apart, matches PATTERN.
forbid() {
  local crate=$1 pattern=$2 tree found name
  ruled="$ruled $crate"
  if ! exists "$crate"; then
    skip "$crate: not in the workspace yet"
    return
  fi
  tree=$(normal_tree "$crate")
  found=$(awk -v self="$crate" 'NF && $1 != self { print $1 }' <<<"$tree" | sort -u | grep -Ex -- "$pattern" || true)
  if [ -z "$found" ]; then
    ok "$crate: nothing matches $pattern"
    return
  fi
  for name in $found; do
    fail "$crate must not depend on $name"
    cargo tree --locked --all-features -e normal -p "$crate" -i "$name" >&2 || true
  done
}

# forbid_direct CRATE NAME: CRATE has no dependency line of its own for NAME.
forbid_direct() {
  local crate=$1 name=$2 tree
  exists "$crate" || return 0
  tree=$(normal_tree "$crate" --depth 1)
  if awk '{ print $1 }' <<<"$tree" | grep -qx -- "$name"; then
    fail "$crate must not name $name as a dependency of its own"
  else
    ok "$crate: no direct dependency on $name"
  fi
}

# tokio_features CRATE FEATURE...: tokio is built for CRATE with these at most.
tokio_features() {
  local crate=$1 tree features feature broken=false
  shift
  exists "$crate" || return 0
  tree=$(normal_tree "$crate" --format '{p} {f}')
  features=$(awk '$1 == "tokio" { print $3; exit }' <<<"$tree" | tr ',' ' ')
  for feature in $features; do
    case " default $* " in
      *" $feature "*) ;;
      *)
        fail "$crate builds tokio with \`$feature\`; allowed: $*"
        broken=true
        ;;
    esac
  done
  $broken || ok "$crate: tokio with no more than: $*"
}

forbid governance-core '.*redis.*|.*deadpool.*|governance-.*|state-.*'
forbid governance-memory '.*redis.*|.*deadpool.*|governance-testkit|state-.*'
forbid governance-redis 'governance-memory|governance-testkit|state-.*'
forbid governance-testkit '.*redis.*|.*deadpool.*|governance-memory|state-.*'
forbid redis-client 'governance.*|state-.*'
forbid redis-harness 'governance.*|state-.*|redis-client'
forbid state-core '.*redis.*|.*deadpool.*|governance-.*|state-.*'
forbid state-memory '.*redis.*|.*deadpool.*|governance-.*|state-testkit'
forbid state-redis 'governance-.*|state-memory|state-testkit'
forbid state-modules 'governance-.*|state-testkit'
forbid state-tower '.*redis.*|.*deadpool.*|governance-.*|state-memory|state-testkit'
forbid state-testkit '.*redis.*|.*deadpool.*|governance-.*|state-memory|state-redis'

forbid_direct governance-redis redis
forbid_direct state-redis redis

tokio_features governance-core sync time
tokio_features state-core macros rt sync time tokio-macros

while read -r name _ path; do
  path=${path#(}
  path=${path%)}
  case $path in
    */crates/*)
      case " $ruled " in
        *" $name "*) ;;
        *) fail "$name has no layer rule: add one to scripts/layers.sh" ;;
      esac
      ;;
  esac
  if awk '/^\[/ { inside = ($0 ~ /^\[lints\]/) } inside && /^workspace *= *true/ { found = 1 } END { exit !found }' "$path/Cargo.toml"; then
    ok "$name: takes the workspace lints"
  else
    fail "$name: its Cargo.toml lacks [lints] workspace = true"
  fi
done <<<"$members"

if [ "$failures" -gt 0 ]; then
  echo "layers: $failures rule(s) broken" >&2
  exit 1
fi
echo "layers: all rules hold"
