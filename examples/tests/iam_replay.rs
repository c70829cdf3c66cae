//! `iam-replay`, run as its users run it. What is of one provider only has a suite of its own.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests; the lint spares only test functions"
)]

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Output},
};

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_iam-replay"))
        .args(["--json", "--provider", "memory"])
        .args(arguments)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// The last line of the output.
fn report(output: &Output) -> Value {
    serde_json::from_str(text(&output.stdout).lines().last().unwrap()).unwrap()
}

/// The report of a run that went well.
fn good(arguments: &[&str]) -> Value {
    let output = run(arguments);
    assert_eq!(text(&output.stderr), "", "nothing to say off a terminal");
    assert_eq!(output.status.code(), Some(0));
    report(&output)
}

fn number(report: &Value, field: &str) -> u64 {
    report[field]
        .as_u64()
        .unwrap_or_else(|| panic!("{field} is a number: {report}"))
}

/// A line that puts a policy with one action.
fn put(policy: &str, from: Option<&str>, to: &str, action: &str) -> String {
    let document = json!({"Version": "2012-10-17", "Statement":
        {"Effect": "Allow", "Action": action, "Resource": "*"}});
    let line = json!({"seq": 0, "op": "put", "policy": policy, "from_version": from,
        "to_version": to, "observed_at": "2030-01-02T03:04:05Z", "created_at": null,
        "document": document});
    format!("{line}\n")
}

fn lines() -> [String; 3] {
    [
        put("Reader", None, "v1", "s3:Get"),
        put("Reader", Some("v1"), "v3", "s3:*"),
        put("Writer", None, "v7", "s3:Put"),
    ]
}

fn file(bytes: impl AsRef<[u8]>) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(bytes.as_ref()).unwrap();
    file
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Runs on bad input. What is before the bad line was carried out and is reported; what is wrong
/// is said on one line.
fn bad(bytes: impl AsRef<[u8]>, more: &[&str], carried_out: u64, states: u64) -> String {
    let file = file(bytes);
    let name = path(file.path());
    let output = run(&[&["--input", name], more].concat());
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(
        text(&output.stdout).contains("executed"),
        "the table is printed"
    );
    let report = report(&output);
    for (field, expected) in [
        ("changes", carried_out),
        ("executed", carried_out),
        ("states", states),
        ("mismatches", 0),
    ] {
        assert_eq!(number(&report, field), expected, "{field}: {said}");
    }
    let prefix = format!("iam-replay: {name}: ");
    let reason = said
        .strip_prefix(&prefix)
        .unwrap_or_else(|| panic!("{said}"))
        .trim_end();
    let stopped = format!(
        "line {}: {}",
        report["stopped_at_line"],
        report["stopped_because"].as_str().unwrap()
    );
    assert_eq!(reason, stopped);
    reason.to_owned()
}

#[test]
fn the_sample_is_replayed_and_every_number_adds_up() {
    let report = good(&[]);
    let n = |field| number(&report, field);
    assert_eq!((n("changes"), n("states"), n("executed")), (40, 12, 40));
    assert_eq!((n("mismatches"), n("stale")), (0, 0));
    assert_eq!(n("submitted"), n("executed") + n("rejected"));
    assert_eq!(
        n("approved_automatically") + n("approved_by_people"),
        n("executed")
    );
    assert_eq!(n("histories_verified"), n("submitted"));
    for field in [
        "approved_automatically",
        "approved_by_people",
        "rejected",
        "refused_votes",
    ] {
        assert!(n(field) > 0, "{field}");
    }
    // Submitted, judged, approved, judged again or executed: four at least.
    assert!(n("decisions") >= 4 * n("executed"));
    for (field, expected) in [("provider", json!("memory")), ("seed", json!(1))] {
        assert_eq!(report[field], expected);
    }
    assert!(report["seconds"].as_f64().unwrap() > 0.0);
    assert!(report["changes_per_second"].as_f64().unwrap() > 0.0);
    assert_eq!(report["stopped_at_line"], Value::Null);
}

#[test]
fn all_risks_and_all_kinds_of_bad_votes_occur_in_the_sample() {
    let mut codes = std::collections::BTreeSet::new();
    for seed in 1..=8 {
        let report = good(&["--seed", &seed.to_string()]);
        for risk in ["low", "medium", "high"] {
            assert!(
                report["requests_by_risk"][risk].as_u64().unwrap() > 0,
                "{risk}"
            );
        }
        let by_code = report["refused_votes_by_code"].as_object().unwrap();
        let sum: u64 = by_code.values().map(|count| count.as_u64().unwrap()).sum();
        assert_eq!(sum, number(&report, "refused_votes"));
        codes.extend(by_code.keys().cloned());
    }
    for code in [
        "vote.self_approval",
        "vote.not_eligible",
        "vote.already_voted",
        "request.takes_no_votes",
        "reason.trivial",
    ] {
        assert!(codes.contains(code), "{code} in {codes:?}");
    }
}

#[test]
fn one_seed_decides_one_way_whatever_runs_at_the_same_time() {
    let digest = |arguments: &[&str]| {
        let report = good(arguments);
        assert_eq!(number(&report, "mismatches"), 0);
        report["decisions_digest"].as_str().unwrap().to_owned()
    };
    let first = digest(&["--seed", "7"]);
    assert_eq!(first.len(), 64);
    assert_eq!(digest(&["--seed", "7"]), first);
    assert_eq!(digest(&["--seed", "7", "--concurrency", "4"]), first);
    assert_ne!(digest(&["--seed", "8"]), first);
}

#[test]
fn many_policies_are_changed_at_the_same_time_in_their_own_order() {
    let mut input = String::new();
    for version in 1..=12 {
        for policy in 0..6 {
            let from = (version > 1).then(|| format!("v{}", version - 1));
            let name = format!("Policy{policy}");
            let action = format!("s3:Action{}", version % 3);
            input += &put(&name, from.as_deref(), &format!("v{version}"), &action);
        }
    }
    let file = file(gzip(&input));
    let report = good(&["--input", path(file.path()), "--concurrency", "4"]);
    assert_eq!(number(&report, "changes"), 72);
    assert_eq!(number(&report, "states"), 6);
    assert_eq!(number(&report, "concurrency"), 4);
}

#[test]
fn no_changes_are_not_an_error() {
    let empty = file("");
    let report = good(&["--input", path(empty.path())]);
    assert_eq!(
        (number(&report, "changes"), number(&report, "decisions")),
        (0, 0)
    );
}

#[test]
fn a_line_that_does_not_chain_stops_the_replay() {
    let [first, second, third] = lines();
    let again = [
        &*first,
        &second,
        &put("Reader", Some("v2"), "v4", "s3:Get"),
        &third,
    ]
    .concat();
    assert_eq!(
        bad(again, &[], 2, 1),
        "line 3: from_version: the change is made to v2, but the policy is at v3"
    );
    let unseen = [&*first, &put("Other", Some("v1"), "v2", "s3:Get")].concat();
    assert_eq!(
        bad(unseen, &[], 1, 1),
        "line 2: from_version: the change is made to v1, but the policy is at nothing"
    );
    let anew = [&*first, &put("Reader", None, "v2", "s3:Get"), &third].concat();
    assert_eq!(
        bad(anew, &[], 1, 1),
        "line 2: from_version: the change is made to nothing, but the policy is at v1"
    );
    let same = [&*first, &put("Reader", Some("v1"), "v1", "s3:Put")].concat();
    assert_eq!(
        bad(same, &[], 1, 1),
        "line 2: to_version: the policy is at v1 already"
    );
}

#[test]
fn what_is_before_a_bad_line_is_carried_out_at_any_concurrency() {
    let input = lines().concat() + "{\"op\":\"put\"}\n" + &put("Late", None, "v1", "s3:Get");
    let reason = bad(input, &["--concurrency", "4"], 3, 2);
    assert_eq!(reason, "line 4: field policy is missing");
}

#[test]
fn lines_that_are_no_changes_are_named_with_a_reason() {
    let good = lines().concat();
    let second = |part: &str, other: &str| lines()[1].replace(part, other);
    for (line, reason) in [
        (
            second("\"put\"", "\"drop\""),
            "line 4: unknown op \"drop\", only put is known",
        ),
        (
            second("\"document\"", "\"text\""),
            "line 4: field document is missing",
        ),
        (
            second("\"from_version\"", "\"from\""),
            "line 4: field from_version is missing",
        ),
        (
            second("\"Allow\"", "\"Maybe\""),
            "line 4: field document: statement 1: Effect is neither Allow nor Deny",
        ),
        (
            "{\"op\":\"put\"".to_owned(),
            "line 4: broken JSON: EOF while parsing an object at column 11",
        ),
    ] {
        assert_eq!(bad(good.clone() + line.trim_end(), &[], 3, 2), reason);
    }
    let not_text = [good.as_bytes(), b"{\"op\":\"\xc3\x28\"}\n"].concat();
    assert_eq!(
        bad(not_text, &[], 3, 2),
        "line 4: invalid UTF-8 after 7 bytes"
    );
}

#[test]
fn a_line_may_be_only_so_long() {
    let good = lines().concat();
    let long = put("Long", None, "v1", &"x".repeat(10 << 20));
    assert_eq!(
        bad(good.clone() + &long, &[], 3, 2),
        "line 4: longer than 4194304 bytes"
    );
    assert_eq!(
        bad(good, &["--max-line-bytes", "100"], 0, 0),
        "line 1: longer than 100 bytes"
    );
}

#[test]
fn broken_gzip_is_found_where_it_breaks() {
    let whole = gzip(&lines().concat());
    let cut = bad(&whole[..whole.len() - 5], &[], 3, 2);
    assert!(cut.starts_with("line 4: broken gzip: "), "{cut}");
    let mut damaged = whole.clone();
    damaged[12..20].fill(0xff);
    let damaged = bad(&damaged, &[], 0, 0);
    assert!(damaged.starts_with("line 1: broken gzip: "), "{damaged}");
    let mut followed = whole;
    followed.extend_from_slice(b"more");
    let followed = bad(&followed, &[], 3, 2);
    assert!(followed.starts_with("line 4: broken gzip: "), "{followed}");
}

#[test]
fn a_file_that_is_not_there_is_bad_input() {
    let output = run(&["--input", "no/such/file.jsonl"]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert_eq!(said.lines().count(), 1);
    assert!(
        said.starts_with("iam-replay: no/such/file.jsonl: cannot be read: "),
        "{said}"
    );
}
