//! What the guides say in tables and pictures is what the sources say.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use governance_core::{DecisionCategory, DecisionKind, state_diagram};

/// What is measured or generated and kept in `docs/` beside the guides.
const REPORTS: [&str; 2] = ["benchmarks.md", "redis-keys.md"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Files below a folder whose name ends like this.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut open = vec![root().join(folder)];
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).expect("the folder is there") {
            let path = entry.expect("it can be listed").path();
            if path.is_dir() {
                open.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "nothing in {folder} ends with {ending}");
    found
}

/// The sources of the core, without their unit tests and doc comments.
fn core_sources() -> Vec<(PathBuf, String)> {
    let source = |path: PathBuf| {
        let text = read(&path);
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let lines = code.lines().filter(|l| !l.trim_start().starts_with("//"));
        (path, lines.collect::<Vec<_>>().join("\n"))
    };
    files("crates/governance-core/src", ".rs")
        .into_iter()
        .map(source)
        .collect()
}

/// The texts in quotes.
fn quoted(code: &str) -> BTreeSet<String> {
    code.split('"')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// The texts in the bodies of all functions called `code`.
fn codes(source: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for rest in source.split("fn code(&self)").skip(1) {
        let body = &rest[rest.find('{').expect("it has a body")..];
        let mut depth = 0_usize;
        let end = body.find(|c| {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            depth == 0
        });
        found.extend(quoted(&body[..end.expect("the body ends")]));
    }
    found
}

/// The first column of the table below a heading of `docs/errors.md`.
fn listed(heading: &str) -> BTreeSet<String> {
    let page = read("docs/errors.md");
    let (_, section) = page
        .split_once(&format!("\n## {heading}\n"))
        .unwrap_or_else(|| panic!("no section {heading}"));
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows: Vec<&str> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    let codes: BTreeSet<String> = rows.iter().map(|code| (*code).to_owned()).collect();
    assert_eq!(
        codes.len(),
        rows.len(),
        "a code is listed twice in {heading}"
    );
    codes
}

/// Names what a table of `docs/errors.md` lacks or has too much.
fn assert_same(listed: &BTreeSet<String>, written: &BTreeSet<String>) {
    let missing: Vec<_> = written.difference(listed).collect();
    let gone: Vec<_> = listed.difference(written).collect();
    assert!(
        missing.is_empty() && gone.is_empty(),
        "docs/errors.md lacks {missing:?} and still has {gone:?}"
    );
}

#[test]
fn every_error_code_is_listed() {
    let written: BTreeSet<String> = core_sources()
        .iter()
        .flat_map(|(_, source)| codes(source))
        .filter(|code| code.contains('.'))
        .collect();
    assert!(
        written.contains("governor.unknown"),
        "the sources were read"
    );
    assert_same(&listed("Error codes"), &written);
}

#[test]
fn every_code_of_the_redis_provider_is_listed() {
    let written: BTreeSet<String> = files("crates/governance-redis/src", ".rs")
        .iter()
        .flat_map(|path| {
            let text = read(path);
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let calls = code.replace("fn code(self)", "fn code(&self)");
            let warnings = quoted(code)
                .into_iter()
                .filter(|text| text.starts_with("durability.") && !text.contains(' '));
            codes(&calls)
                .into_iter()
                .chain(warnings)
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(written.contains("open.migrating"), "the sources were read");
    assert_same(&listed("Codes of the Redis provider"), &written);
}

#[test]
fn every_decision_code_is_listed() {
    let source = read("crates/governance-core/src/decision/kind.rs");
    let names = DecisionCategory::ALL.map(DecisionCategory::as_str);
    let listed = listed("Decision codes");
    let mut short = BTreeSet::new();
    for code in &listed {
        let (family, name) = code.split_once('.').expect("category.code");
        assert!(names.contains(&family), "{family} is no category");
        short.insert(name.to_owned());
    }
    assert_same(&short, &codes(&source));
    assert_same(&listed, &DecisionKind::CODES.map(str::to_owned).into());
}

#[test]
fn every_rejection_cause_is_listed() {
    let source = read("crates/governance-core/src/decision/lifecycle.rs");
    assert_same(&listed("Rejection causes"), &codes(&source));
}

#[test]
fn every_recorded_code_is_listed() {
    let sources = core_sources();
    let listed = listed("Recorded codes");
    let mut literals = BTreeSet::new();
    for (_, source) in &sources {
        for call in ["Label::literal(\"", "fault(\""] {
            let calls = source.split(call).skip(1);
            literals.extend(calls.filter_map(|rest| rest.split('"').next().map(str::to_owned)));
        }
    }
    // The text of a fault is made in a line of its own where it does not fit the call.
    let all: BTreeSet<String> = sources.iter().flat_map(|(_, s)| quoted(s)).collect();
    assert!(literals.is_subset(&listed), "{literals:?} in {listed:?}");
    assert!(listed.is_subset(&all), "{listed:?} in the sources");
}

#[test]
fn the_diagram_is_the_table() {
    let page = read("docs/concepts.md");
    let diagram = page
        .split("```mermaid\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    assert_eq!(diagram, Some(state_diagram().as_str()));
}

#[test]
fn every_guide_and_record_is_in_its_index() {
    for folder in ["docs", "adr"] {
        let index = read(format!("{folder}/README.md"));
        for file in files(folder, ".md") {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            assert!(
                name == "README.md"
                    || REPORTS.contains(&&*name)
                    || index.contains(&format!("]({name})")),
                "{folder}/README.md does not link {name}"
            );
        }
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut pages = files("docs", ".md");
    pages.extend(files("adr", ".md"));
    pages.extend(["README.md", "CONTRIBUTING.md"].map(|name| root().join(name)));
    for page in pages {
        let text = read(&page);
        for link in text.split("](").skip(1) {
            let link = link.split([')', '#']).next().unwrap_or_default();
            if link.is_empty() || link.contains("://") || link.contains(' ') {
                continue;
            }
            let target = page.parent().expect("it is in a folder").join(link);
            assert!(target.exists(), "{} links to {link}", page.display());
        }
    }
}
