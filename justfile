# Every check is a step of .ci/run, which is also what CI runs.

set shell := ["bash", "-euo", "pipefail", "-c"]

# List the recipes
_list:
    @just --list --unsorted

# Everything a change must pass; changes no tracked file
[group('gate')]
verify:
    ./.ci/run

# Apply what clippy can repair, then format (changes files)
[group('gate')]
fix:
    cargo clippy --workspace --all-targets --all-features --fix --allow-dirty --allow-staged
    cargo fmt --all

# Formatting
[group('lint')]
fmt-check:
    ./.ci/run fmt-check

# Lints, warnings are errors
[group('lint')]
clippy:
    ./.ci/run clippy

# Dependency bans, licences and sources
[group('lint')]
deny:
    ./.ci/run deny

# Known vulnerabilities in dependencies (needs the network)
[group('lint')]
advisories:
    ./.ci/run advisories

# Spelling
[group('lint')]
typos:
    ./.ci/run typos

# Dependencies nobody uses
[group('lint')]
machete:
    ./.ci/run machete

# Dependency arrows between our crates
[group('lint')]
layers:
    ./.ci/run layers

# All tests; arguments go to cargo test
[group('test')]
test *args:
    ./scripts/test.sh {{ args }}

# Doctests and the compiled guides only
[group('test')]
test-doc:
    ./scripts/test.sh --doc

# Mutation testing, e.g. `just mutants -p governance-core`
[group('test')]
mutants *args:
    cargo mutants {{ args }}

# API documentation, warnings are errors
[group('docs')]
doc:
    ./.ci/run doc

# Build with the oldest supported compiler
[group('release')]
msrv:
    ./.ci/run msrv

# Semver check against the last release; e.g. `just semver --baseline-rev v0.1.0`
[group('release')]
semver *args:
    cargo semver-checks {{ args }}

# Build with the lowest dependency versions we declare (needs nightly)
[group('release')]
min-versions:
    ./.ci/run min-versions

# Build every feature on its own
[group('release')]
features:
    ./.ci/run features

# Measure and print the report
[group('bench')]
bench *args:
    cargo run --locked --release -p benches --bin report -- {{ args }}
