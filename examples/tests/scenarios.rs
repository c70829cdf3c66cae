//! Runs every scenario as a program, on every provider, and checks what it tells.

mod support;

use std::{fs, path::Path, process::Output};

use support::{command, server};

/// Name and program of every scenario of this suite.
macro_rules! scenarios {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, env!(concat!("CARGO_BIN_EXE_", $name)))),+]
    };
}

const SCENARIOS: &[(&str, &str)] = scenarios![
    "approval-workflow",
    "billing-quotas",
    "decision-taxonomy",
    "feature-flags",
    "governed-execution",
    "iam-roles",
    "policy-composition",
    "queries",
    "request-lifecycle",
    "versioned-resolution",
    "workflow-approvals",
];

fn run(name: &str, arguments: &[&str]) -> Output {
    let (_, program) = SCENARIOS
        .iter()
        .find(|(known, _)| *known == name)
        .unwrap_or_else(|| panic!("{name} is not listed"));
    let output = command(program).args(arguments).output();
    output.unwrap_or_else(|error| panic!("{name} does not start: {error}"))
}

fn story(name: &str) -> String {
    let output = run(name, &["--provider", "memory"]);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success(),
        "{name}: {}, {errors}",
        output.status
    );
    assert_eq!(errors, "", "{name}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What a scenario tells on a Redis server, under a key prefix of its own.
fn story_on_redis(name: &str) -> String {
    let server = server();
    let output = run(name, &["--provider", "redis", "--redis-url", server.url()]);
    let beside = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success(),
        "{name}: {}, {beside}",
        output.status
    );
    let prefix = format!("kept under the key prefix example:{name}:");
    assert!(beside.starts_with(&prefix), "{name}: {beside}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Checks that a scenario tells these facts, in this order: each is how a line begins, up to the
/// end of a word or number. Lines in between are free, so words of errors may change and codes may
/// not. On another provider it has to tell the very same.
fn tells(name: &str, facts: &[&str]) {
    let story = story(name);
    assert_eq!(story_on_redis(name), story, "{name} on redis");
    let mut lines = story.lines().map(str::trim_start);
    for fact in facts {
        assert!(
            lines.any(|line| begins_with(line, fact)),
            "{name} does not tell, or not at this point: {fact}\n\n{story}"
        );
    }
}

fn begins_with(line: &str, fact: &str) -> bool {
    line.strip_prefix(fact)
        .is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
}

#[test]
fn every_scenario_is_run_here_and_described() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found: Vec<String> = fs::read_dir(package.join("src/bin"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        // Their tests are suites of their own.
        .filter(|name| !["iam-replay", "metadata-cache", "state-service", "tile-cache"].contains(&name.as_str()))
        .collect();
    found.sort_unstable();
    let listed: Vec<&str> = SCENARIOS.iter().map(|(name, _)| *name).collect();
    assert_eq!(found, listed);

    let readme = fs::read_to_string(package.join("README.md")).unwrap();
    for name in listed {
        let command = format!("cargo run -p examples --bin {name}`");
        assert!(readme.contains(&command), "README.md has no {command}");
    }
}

#[test]
fn every_scenario_has_help() {
    for (name, _) in SCENARIOS {
        let output = run(name, &["--help"]);
        let help = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{name}: {}", output.status);
        let usage = format!("Usage: {name}");
        let (about, _) = help.split_once(&usage).unwrap_or_else(|| panic!("{help}"));
        assert_eq!(about.trim().lines().count(), 1, "{name}: {help}");
        assert!(help.contains("--provider <NAME>"), "{name}: {help}");
        for word in ["memory", "redis", "--redis-url <URL[,URL..]>", "REDIS_ADDR"] {
            assert!(help.contains(word), "{name}: {help}");
        }
    }
}

#[test]
fn an_unknown_provider_is_refused() {
    for (name, _) in SCENARIOS {
        let output = run(name, &["--provider", "stone-tablets"]);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{name}: {errors}");
        assert!(
            errors.contains("invalid value 'stone-tablets'"),
            "{name}: {errors}"
        );
        assert!(
            errors.contains("possible values: memory, redis"),
            "{name}: {errors}"
        );
        assert!(output.stdout.is_empty(), "{name} went on all the same");
    }
}

#[test]
fn every_run_tells_the_same() {
    for (name, _) in SCENARIOS {
        assert_eq!(story(name), story(name), "{name}");
    }
}

#[test]
fn memory_is_the_default() {
    let output = run("request-lifecycle", &[]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(told, story("request-lifecycle"));
}

#[test]
fn a_reader_who_leaves_early_is_no_error() {
    let (name, program) = SCENARIOS[0];
    let mut child = command(program).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{name}: {}, {errors}",
        output.status
    );
    assert_eq!(errors, "");
}

#[test]
fn request_lifecycle() {
    tells(
        "request-lifecycle",
        &[
            "1. A routine change",
            "alice asks for 500: approved, revision 1",
            "deployer executes it: executed, revision 2, version 0 -> 1",
            "acme has 500 per minute (version 1)",
            "alice asks for 2000: pending, revision 1",
            "her client tries again (the request of before): pending, revision 1",
            "another change under the same key: refused, governor.key_reused",
            "deployer executes it too early: refused, request.not_allowed",
            "carol approves: approved, revision 2",
            "deployer executes it: executed, revision 3, version 1 -> 2",
            "deployer executes it again, nothing ran: executed, revision 3, version 1 -> 2",
            "carol cancels it: refused, governor.unauthorized",
            "alice cancels it: canceled, revision 2",
            "5000 makes way for 6000: superseded, revision 2",
            "the request for 6000 knows whose place it took: true",
            "alice asks for 7000, deadline 2026-03-02T13:00:00Z",
            "alice moves the deadline to 2026-03-02T17:00:00Z",
            "at 2026-03-02T14:00:00Z a tick expires 0",
            "at 2026-03-02T19:00:00Z a tick expires 1",
            "carol approves: refused, request.takes_no_votes",
            "alice asks for 1000000: rejected, revision 1, because policy_denied",
            "denied: rate_limit.too_high",
            "alice asks for what is there: refused, governor.invalid",
            "- acme, 500 per minute: executed",
            "- acme, 2000 per minute: executed",
            "- acme, 4000 per minute: canceled",
            "- acme, 5000 per minute: superseded",
            "- acme, 6000 per minute: pending",
            "- acme, 7000 per minute: expired",
            "- acme, 1000000 per minute: rejected",
            "1  2026-03-02T09:00:00Z  lifecycle.submitted by alice -> created",
            "6  2026-03-02T09:00:00Z  approval.granted by carol -> pending",
            "9  2026-03-02T09:00:00Z  lifecycle.executed by deployer -> executed",
        ],
    );
}

#[test]
fn approval_workflow() {
    tells(
        "approval-workflow",
        &[
            "alice asks for 2.0.0: pending, revision 1",
            "explain: pending, waits for 2 of 2 for review",
            "stage 2, sign-off: waiting for the stage before",
            "can decide review: bob, carol, dave",
            "cannot decide review: alice (vote.self_approval)",
            "alice approves: refused, vote.self_approval",
            "alice's bot approves: refused, vote.self_approval",
            "mallory of marketing approves: refused, vote.not_eligible",
            "erin approves ahead of her stage: refused, vote.stage_not_open",
            "bob gives no reason: refused, reason.trivial",
            "bob approves: pending, revision 2",
            "stage 1, review: open, 1 of 2 seats filled by bob",
            "bob approves again: refused, vote.already_voted",
            "bob takes it back: pending, revision 3",
            "carol and dave approve: pending, revision 5",
            "stage 1, review: satisfied, 2 of 2 seats filled by carol, dave",
            "can decide sign-off: erin",
            "bob comes too late: refused, vote.seats_filled",
            "erin says ok: refused, vote.reason_not_accepted",
            "erin approves: approved, revision 6",
            "alice executes: refused, governor.executor_barred",
            "carol executes: refused, governor.executor_barred",
            "deployer executes: executed, revision 7, version 0 -> 1",
            "payments runs 2.0.0 (version 1)",
            "7  2026-03-02T09:00:00Z  approval.withdrawn by bob -> pending",
            "15  2026-03-02T09:00:00Z  lifecycle.executed by deployer -> executed",
            "bob denies 3.0.0: pending, revision 2",
            "carol denies it too: rejected, revision 3, because approval_denied",
            "bob: code -, category -",
            "carol: code schema.breaking, category safety",
            "dave approves: refused, request.takes_no_votes",
        ],
    );
}

#[test]
fn decision_taxonomy() {
    tells(
        "decision-taxonomy",
        &[
            "1. lifecycle.*",
            "lifecycle.submitted ",
            "lifecycle.pending ",
            "lifecycle.approved ",
            "lifecycle.executed ",
            "lifecycle.failed ",
            "lifecycle.retried ",
            "lifecycle.rejected ",
            "lifecycle.canceled ",
            "lifecycle.expired ",
            "lifecycle.superseded ",
            "2. policy.*",
            "policy.evaluated ",
            "3. approval.*",
            "approval.requested ",
            "approval.stage_opened ",
            "approval.granted ",
            "approval.denied ",
            "approval.withdrawn ",
            "approval.satisfied ",
            "approval.expired ",
            "approval.renewed ",
            "4. version.*",
            "version.rejected_as_stale ",
            "version.renewed_approval_required ",
            "version.revalidated ",
            "version.any_version_accepted ",
            "5. amendment.*",
            "amendment.deadline ",
            "amendment.reason ",
            "amendment.risk ",
            "amendment.tag ",
            "6. link.*",
            "link.supersedes ",
            "28 kinds in 6 families",
        ],
    );
}

#[test]
fn versioned_resolution() {
    tells(
        "versioned-resolution",
        &[
            "1. Nobody came in between",
            "dry run: approved for version 0, still there, would record lifecycle.executed",
            "execute: executed, revision 3, version 0 -> 1",
            "2. Reject",
            "dry run: approved for version 0, now at 1, would record version.rejected_as_stale",
            "execute: rejected, revision 3, because stale",
            "the fleet has 9 machines (version 1)",
            "3. RenewApproval",
            "dry run: approved for version 0, now at 1, would record version.renewed_approval",
            "execute: pending, revision 3",
            "a vote on what bob saw before: refused, vote.subject_changed",
            "bob approves again: approved, revision 4",
            "execute: executed, revision 5, version 1 -> 2",
            "the fleet has 5 machines (version 2)",
            "4. Revalidate, policies ask for no more",
            "execute: executed, revision 3, version 1 -> 2",
            "5. Revalidate, policies ask for more",
            "execute: pending, revision 3",
            "can decide owner: olga",
            "execute: executed, revision 6, version 1 -> 2",
            "the fleet has 1 machine (version 2)",
            "6. Revalidate, the change makes no sense",
            "execute: rejected, revision 3, because invalid",
            "7. AnyVersion",
            "dry run: approved for version 0, now at 1, would record version.any_version_accepted",
            "execute: executed, revision 3, version 1 -> 2",
            "approved for version 0, executed against 1: both are kept",
        ],
    );
}

#[test]
fn governed_execution() {
    tells(
        "governed-execution",
        &[
            "of 64 executions 1 ran it and 63 were told so",
            "hall-1 has 20 units (version 1)",
            "its history has 1 lifecycle.executed",
            "hall-1 has 36 units (version 17)",
            "alice cancels a shipment: canceled, revision 2",
            "her client repeats the call: canceled, revision 2",
            "she cancels it once more: refused, request.not_allowed",
            "somebody else under her id: refused, governor.operation_reused",
            "50 of 36 are shipped: failed, revision 2, because stock.short",
            "explain: failed: 36 units are there, 50 are asked for (stock.short)",
            "executed again as it is: refused, request.not_allowed",
            "retried after a delivery: executed, revision 4, version 18 -> 19",
            "attempts: 2",
            "4  2026-03-02T09:00:00Z  lifecycle.failed by deployer -> failed",
            "5  2026-03-02T09:00:00Z  lifecycle.retried by deployer -> approved",
            "6  2026-03-02T09:00:00Z  version.revalidated by deployer -> approved",
            "four billion are delivered: failed, revision 2, because stock.overflow",
            "retried: refused, request.not_retryable",
            "alice cancels it: canceled, revision 3",
            "label.print, Info: print the shipping label",
            "stock.reorder, Warning: fewer than ten are left, somebody has to act",
            "change of units: 56 -> 6",
        ],
    );
}

#[test]
fn queries() {
    tells(
        "queries",
        &[
            "waiting for approval: 5",
            "about cdn: 2",
            "high risk or more: 3",
            "security, still pending: 3",
            "tagged tls or launch: 5",
            "tagged launch and routine: 1",
            "- cdn, ttl=60s: approved",
            "ticket 105: 1",
            "- db, encryption=on: pending",
            "asked for in the chat, medium risk: 1",
            "- db, backup=hourly: pending",
            "reaching a system or further: 5",
            "with pool in the text: 1",
            "- db, pool=50: pending",
            "of the launch: 3",
            "for oscar: 4",
            "for otto: 4",
            "for sue: 1",
            "- api, tls=1.3: pending, revision 2",
            "open: security on api, 1 seat",
            "neither routine nor done: 5",
            "routine and not done: 1",
            "page: waf=strict, ttl=60s, backup=hourly",
            "page: encryption=on, pool=50, tls=1.3",
            "page: retries=3, timeout=5s",
            "by deadline, earliest first:",
            "- db, pool=50: pending",
            "a page of nothing: refused, page.limit_out_of_range",
            "the cursor of another query: refused",
            "approval.denied by otto on api: three is too many",
            "approval.granted by otto on api: tested in staging",
            "outcome on api: lifecycle.executed",
            "outcome on api: lifecycle.rejected",
            "pending: 5",
            "approved: 1",
            "executed: 1",
            "rejected: 1",
        ],
    );
}

#[test]
fn billing_quotas() {
    tells(
        "billing-quotas",
        &[
            "- acme, +500: executed, revision 2, version 0 -> 1",
            "- acme, -200: executed, revision 2, version 1 -> 2",
            "acme: 600 of 1300 used (version 2)",
            "below what is used: refused, governor.invalid",
            "above the plan: rejected, revision 1, because policy_denied",
            "denied: quota.above_plan: 10300 is over the plan's 10000",
            "+5000 for acme: pending, revision 1",
            "olga, who is on call: refused, vote.not_eligible",
            "fay of finance approves, sam executes: executed, revision 3, version 2 -> 3",
            "hooli: pending, revision 1",
            "omar approves his own: refused, vote.self_approval",
            "- globex, +5000: executed, revision 3, version 0 -> 1",
            "- initech, +5000: executed, revision 3, version 0 -> 1",
            "three hours later 1 expires",
            "hooli: expired, revision 2",
            "risk critical, tags emergency",
            "globex executed: executed, revision 2, version 1 -> 2",
            "it was interrupted, and runs again:",
            "acme (the request of before): executed, revision 2, version 3 -> 4",
            "globex (the request of before): executed, revision 2, version 1 -> 2",
            "initech executed: executed, revision 2, version 1 -> 2",
            "hooli executed: executed, revision 2, version 0 -> 1",
            "the next month's, by mistake:",
            "acme: governor.invalid",
            "acme: 0 of 6300 used (version 4)",
            "globex: 0 of 6000 used (version 2)",
            "initech: 0 of 6000 used (version 2)",
            "hooli: 0 of 1000 used (version 1)",
        ],
    );
}

#[test]
fn feature_flags() {
    tells(
        "feature-flags",
        &[
            "dan turns the banner on: approved, revision 1",
            "dan executes it: executed, revision 2, version 0 -> 1",
            "dan turns it on again: refused, governor.invalid",
            "pat turns new-payments on: pending, revision 1",
            "pat approves: refused, vote.self_approval",
            "pia approves: pending, revision 2",
            "pia approves again: refused, vote.already_voted",
            "paul approves: approved, revision 3",
            "it is 2026-03-02T19:00:00Z",
            "pat executes it in the evening: refused, governor.policy_denied",
            "it stays: approved, revision 3",
            "dan turns dark-mode on: rejected, revision 1, because policy_denied",
            "denied: window.closed",
            "dan turns the banner off: approved, revision 1",
            "pat executes it at 2026-03-03T09:00:00Z: executed, revision 4, version 0 -> 1",
            "new-payments is on (version 1)",
            "dark-mode: executed, revision 2, version 0 -> 1",
            "new-search: executed, revision 2, version 0 -> 1",
            "new-login: pending, revision 1",
            "new-login after two approvals: executed, revision 4, version 0 -> 1",
            "5. The history of that piece of work",
            "dark-mode: lifecycle.submitted by dan",
            "new-search: lifecycle.executed by dan",
            "new-login: lifecycle.submitted by dan",
            "new-login: approval.granted by pia",
            "new-login: approval.granted by paul",
            "new-login: lifecycle.executed by dan",
        ],
    );
}

#[test]
fn iam_roles() {
    tells(
        "iam-roles",
        &[
            "vera as viewer: approved, revision 1",
            "sid as administrator: pending, revision 1",
            "sid, of security, approves: refused, vote.self_approval",
            "sue and steve approve, alice executes: executed, revision 4, version 1 -> 2",
            "admin: root, sid; viewer: vera (version 2)",
            "alice as administrator: rejected, revision 1, because policy_denied",
            "denied: role.self_grant",
            "her bot asks on her behalf: rejected, revision 1, because policy_denied",
            "denied: role.self_grant",
            "root goes: executed, revision 4, version 2 -> 3",
            "sid would go: rejected, revision 4, because invalid",
            "role (admin.last)",
            "asked for afresh: refused, governor.invalid",
            "admin: sid; viewer: vera (version 3)",
            "first run: 3 made, 0 known already",
            "second run: 0 made, 3 known already",
            "admin: sid; viewer: udo, ulf, uma, vera (version 6)",
        ],
    );
}

#[test]
fn workflow_approvals() {
    tells(
        "workflow-approvals",
        &[
            "ann asks: pending, revision 1",
            "finn is too early: refused, vote.stage_not_open",
            "tess approves, stage 2 is open: pending, revision 2",
            "dora approves, stage 3 is open: pending, revision 3",
            "finn approves, no stage is left: approved, revision 4",
            "the engine publishes it: executed, revision 5, version 0 -> 1",
            "expenses: submit > check receipts > approve > pay (version 1)",
            "dora objects: rejected, revision 3, because approval_denied",
            "dora in stage 2: definition.against_policy (compliance), \"nobody looks at",
            "finn approves: refused, request.takes_no_votes",
            "tess objects to another: rejected, revision 2, because approval_denied",
            "tess in stage 1: definition.incomplete (quality), \"who pays, and when?\"",
            "published: executed, revision 5, version 1 -> 2",
            "mail.send, for information",
            "tell everybody about 3 steps",
            "reports.move, somebody has to act",
            "move reports out of: approve",
        ],
    );
}

#[test]
fn policy_composition() {
    tells(
        "policy-composition",
        &[
            "build 1: pending, revision 1",
            "policies/release-gate/build-is-green allows, which counts",
            "policies/release-gate/operations requires approval, which counts",
            "asks for 1 of group operators",
            "asks for 1 of group developers",
            "build 3: rejected, revision 1, because policy_denied",
            "policies/release-gate/build-is-green denies, which counts",
            "build.red: the tests of build 3 fail",
            "build 99: rejected, revision 1, because policy_denied",
            "policy.fault: the build server does not know build 99",
            "carl, who is on call: approved, revision 1",
            "policies/emergency-gate/on-call allows, which counts",
            "ann, who is not: pending, revision 1",
            "policies/emergency-gate/two-operators requires approval, which counts",
            "asks for 2 of group operators",
            "checkout: rejected, revision 1, because policy_denied",
            "freeze.active",
            "checkout, a hotfix: pending, revision 1",
            "policies/deployment-gate/freeze abstains",
            "policies/deployment-gate/hotfix requires approval, which counts",
            "search: pending, revision 1",
            "policies/deployment-gate/otherwise requires approval, which counts",
            "policies/production/release-gate/review requires approval, which counts",
            "policies/production/deployment-gate/hotfix requires approval, which counts",
            "policy.conflicting_rules: in policies/clashing-rules, two different requirements",
            "policy.conflicting_metadata: in policies/clashing-data",
            "a denial needs no agreement of the others: rejected, revision 1",
        ],
    );
}
