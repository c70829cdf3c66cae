//! The negative tests and targets of the capabilities all exist.
//!
//! Each has an id, such as N-LK-2 or T-CA-1, and a test or a case of a suite whose name contains
//! it: `n_lk_2_time_until_the_answer_counts`. A case of a suite is looked up where it is written;
//! that each is run is checked by the suite itself. What no test can answer is listed with where it
//! is answered and why.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// A capability, how many negative tests and how many targets it has. Another one is another line.
const CAPABILITIES: &[(&str, u32, u32)] = &[
    ("CA", 13, 6), // caches
    ("RL", 13, 5), // rate limits
    ("PS", 18, 6), // processes
    ("LK", 15, 6), // locks and leaders
    ("EB", 8, 4),  // events
    ("X", 0, 2),   // what holds for all of them
];

/// Id, reason.
const ELSEWHERE: &[(&str, &str)] = &[
    (
        "T-EB-4",
        "how long an event is on its way is measured: a test that fails on a slow machine says nothing",
    ),
    (
        "T-RL-5",
        "how many decisions there are per second is measured, for the same reason",
    ),
];

/// Where tests may be.
const ROOTS: &[&str] = &["crates", "examples", "tests", "benches"];

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Id {
    kind: &'static str,
    capability: &'static str,
    number: u32,
}

impl Id {
    fn text(&self) -> String {
        format!("{}-{}-{}", self.kind, self.capability, self.number)
    }
}

fn ids() -> impl Iterator<Item = Id> {
    CAPABILITIES
        .iter()
        .flat_map(|(capability, negative, targets)| {
            [("N", *negative), ("T", *targets)]
                .into_iter()
                .flat_map(move |(kind, count)| {
                    (1..=count).map(move |number| Id {
                        kind,
                        capability,
                        number,
                    })
                })
        })
}

/// The ids in the name of a function: `n_lk_2_…` has one, `t_ps_3_n_ps_4_…` two.
fn ids_in(name: &str) -> Vec<Id> {
    let words: Vec<&str> = name.split('_').collect();
    let triples = words.windows(3).filter_map(|words| {
        let kind = match words[0] {
            "n" => "N",
            "t" => "T",
            _ => return None,
        };
        let known = CAPABILITIES.iter().map(|(capability, ..)| *capability);
        let capability = known
            .into_iter()
            .find(|known| known.to_lowercase() == words[1])?;
        let number = words[2].parse().ok()?;
        Some(Id {
            kind,
            capability,
            number,
        })
    });
    triples.collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Ids in names of functions, and in which files.
fn written() -> BTreeMap<Id, BTreeSet<PathBuf>> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for root in ROOTS {
        sources(&repository.join(root), &mut files);
    }
    let mut written: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a source");
        let names = text.lines().filter_map(|line| {
            let (before, after) = line.split_once("fn ")?;
            let is_comment = before.trim_start().starts_with("//");
            let end = after.find(['(', '<'])?;
            (!is_comment).then(|| &after[..end])
        });
        for id in names.flat_map(ids_in) {
            written.entry(id).or_default().insert(file.clone());
        }
    }
    written
}

#[test]
fn every_id_has_a_test() {
    let written = written();
    let elsewhere: BTreeSet<&str> = ELSEWHERE.iter().map(|(id, _)| *id).collect();
    let missing: Vec<String> = ids()
        .filter(|id| !written.contains_key(id))
        .map(|id| id.text())
        .filter(|id| !elsewhere.contains(id.as_str()))
        .collect();
    assert!(missing.is_empty(), "no test is named after {missing:?}");
}

#[test]
fn no_test_is_named_after_an_id_there_is_not() {
    let known: BTreeSet<Id> = ids().collect();
    let unknown: Vec<_> = written()
        .into_iter()
        .filter(|(id, _)| !known.contains(id))
        .map(|(id, files)| (id.text(), files))
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn what_is_answered_elsewhere_is_known_and_has_no_test() {
    let known: BTreeSet<String> = ids().map(|id| id.text()).collect();
    let tested: BTreeSet<String> = written().into_keys().map(|id| id.text()).collect();
    for (id, reason) in ELSEWHERE {
        assert!(known.contains(*id), "{id} is not in the list");
        assert!(!tested.contains(*id), "{id} has a test by now");
        assert!(!reason.is_empty(), "{id} needs a reason");
    }
}

#[test]
fn names_are_read_as_they_are_meant() {
    let texts = |name| ids_in(name).iter().map(Id::text).collect::<Vec<_>>();
    assert_eq!(texts("n_lk_2_time_counts"), ["N-LK-2"]);
    assert_eq!(texts("t_ps_3_n_ps_4_listings"), ["T-PS-3", "N-PS-4"]);
    assert_eq!(texts("scripts_and_t_rl_4_every_key"), ["T-RL-4"]);
    // Twelve is not one.
    assert_eq!(texts("n_ca_12_a_load"), ["N-CA-12"]);
    assert_eq!(texts("counts_n_ca_x"), [""; 0]);
}
