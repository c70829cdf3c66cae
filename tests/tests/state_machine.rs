//! Every status against every public operation, held against the one transition table.
//!
//! Each test takes one operation to a request of every status. Where [`Status::after`] allows the
//! step, the request has to go where the table says, with one write; where it does not, the
//! refusal has to be the typed one and nothing may be written.

use std::{collections::BTreeSet, time::Duration};

use governance_core::{
    Act, Draft, GovernorError, IdempotencyKey, Judgement, Membership, MutationRequest, OnStale,
    OperationId, PolicyDecision, Reason, RequestError, RequestId, StateVersion, Status, Step,
    SubmitOptions, VoteRefused, policy_fn, state_diagram,
};
use tests::fixtures::{
    Quota, Raise, World, assert_same, assert_whole, by_risk, group, of_group, rules, state, user,
};

/// Every status a stored request can have.
const STATUSES: [Status; 8] = [
    Status::Pending,
    Status::Approved,
    Status::Failed,
    Status::Executed,
    Status::Rejected,
    Status::Canceled,
    Status::Expired,
    Status::Superseded,
];

const LIFETIME: Duration = Duration::from_secs(3_600);

/// A high risk asks for two of security; a lower one is approved at once.
fn world() -> World {
    World::new(by_risk(rules([of_group("security", 2, "security")])))
}

/// A request that stands at this status, brought there by legal acts. It has one vote of two
/// while it is pending, and a deadline.
async fn reach(world: &World, status: Status) -> RequestId {
    let options = SubmitOptions::new()
        .expires_in(LIFETIME)
        .idempotency_key(IdempotencyKey::new("the-one").expect("a key"))
        .reason("for the launch");
    if status == Status::Failed {
        world.put(&Quota::of(1).frozen()).await;
    }
    let id = world.raise_with(500, options).await;
    world.approve(&id, "bob").await.expect("a legal act");
    let approve = async || world.approve(&id, "carol").await.expect("a legal act");
    match status {
        Status::Pending => {}
        Status::Approved => {
            approve().await;
        }
        Status::Failed | Status::Executed => {
            approve().await;
            world
                .execute(&id, OnStale::Reject)
                .await
                .expect("a legal act");
        }
        Status::Rejected => {
            world.deny(&id, "carol").await.expect("a legal act");
        }
        Status::Canceled => {
            world.cancel(&id).await.expect("a legal act");
        }
        Status::Expired => {
            world.clock.advance(LIFETIME);
            world.tick().await;
        }
        Status::Superseded => {
            let other = world.raise(501).await;
            world.supersede(&id, &other).await.expect("a legal act");
        }
        other => panic!("nothing is stored as {other}"),
    }
    world.tick_over();
    let request = world.get(&id).await;
    assert_eq!(request.status(), status);
    assert_whole(&request);
    id
}

/// What an operation has to do to a request.
#[derive(Debug)]
enum Expect {
    /// It goes to this status.
    Goes(Status),
    /// Something is recorded; the status stays.
    Recorded,
    /// It succeeds and writes nothing.
    Nothing,
    /// It is refused like this.
    Refused(RequestError),
}

impl Expect {
    /// What the table says of a step.
    fn step(status: Status, step: Step) -> Self {
        match status.after(step) {
            Some(to) => Self::Goes(to),
            None => Self::Refused(RequestError::NotAllowed { status, step }),
        }
    }

    fn vote(status: Status, step: Step) -> Self {
        match status {
            Status::Pending => Self::step(status, step),
            status => Self::Refused(RequestError::TakesNoVotes { status }),
        }
    }

    fn amend(status: Status) -> Self {
        match status {
            Status::Pending => Self::Recorded,
            status => Self::Refused(RequestError::NotAmendable { status }),
        }
    }

    /// Executing what is executed tells what was done; otherwise what was approved goes this way.
    fn execution(status: Status, way: Step) -> Self {
        match status {
            Status::Executed => Self::Nothing,
            Status::Approved => Self::step(status, way),
            status => Self::step(status, Step::Complete),
        }
    }
}

/// Takes an operation to a request of every status and checks what it did.
async fn in_every_status(
    operation: impl AsyncFn(&World, RequestId) -> Result<(), GovernorError>,
    expect: impl Fn(Status) -> Expect,
) {
    for status in STATUSES {
        let world = world();
        let id = reach(&world, status).await;
        let before = world.get(&id).await;
        let done = operation(&world, id).await;
        let after = world.get(&id).await;
        let expected = expect(status);
        let refused = match done {
            Ok(()) => None,
            Err(GovernorError::Request(error)) => Some(error),
            Err(other) => panic!("{status}: {other}"),
        };
        match &expected {
            Expect::Goes(to) => {
                assert_eq!(refused, None, "{status}");
                assert_eq!(after.status(), *to, "{status}");
                assert_one_write(&world, &before, &after);
            }
            Expect::Recorded => {
                assert_eq!(refused, None, "{status}");
                assert_eq!(after.status(), status);
                assert_one_write(&world, &before, &after);
            }
            Expect::Nothing => {
                assert_eq!(refused, None, "{status}");
                assert_same(&before, &after, status.as_str());
            }
            Expect::Refused(error) => {
                assert_eq!(refused.as_ref(), Some(error), "{status}");
                assert_same(&before, &after, status.as_str());
            }
        }
        assert_whole(&after);
    }
}

/// The revision rose by one, the time is now, what was recorded is still there, and a change of
/// status has one lifecycle decision.
fn assert_one_write(world: &World, before: &MutationRequest, after: &MutationRequest) {
    assert_eq!(after.revision(), before.revision().next());
    assert_eq!(after.updated_at(), world.clock.read());
    assert!(after.updated_at() > before.updated_at());
    let known = before.decisions().len();
    assert_eq!(&after.decisions()[..known], before.decisions());
    let new = &after.decisions()[known..];
    assert!(!new.is_empty());
    let lifecycle = new
        .iter()
        .filter(|d| d.kind().to_string().starts_with("lifecycle."))
        .count();
    // An execution that begins a new round stays within one write and one change of status.
    assert_eq!(lifecycle, usize::from(before.status() != after.status()));
}

// ---- votes ----

#[tokio::test]
async fn approve() {
    in_every_status(
        async |world, id| world.approve(&id, "carol").await.map(drop),
        |status| Expect::vote(status, Step::Approve),
    )
    .await;
}

#[tokio::test]
async fn reject() {
    in_every_status(
        async |world, id| world.deny(&id, "carol").await.map(drop),
        |status| Expect::vote(status, Step::Reject),
    )
    .await;
}

#[tokio::test]
async fn withdraw() {
    in_every_status(
        async |world, id| world.withdraw(&id, "bob").await.map(drop),
        |status| match status {
            Status::Pending => Expect::Recorded,
            status => Expect::Refused(RequestError::TakesNoVotes { status }),
        },
    )
    .await;
}

#[tokio::test]
async fn withdraw_without_a_vote() {
    in_every_status(
        async |world, id| world.withdraw(&id, "dave").await.map(drop),
        |status| {
            Expect::Refused(match status {
                Status::Pending => VoteRefused::NoVote {
                    actor: user("dave").id().clone(),
                }
                .into(),
                status => RequestError::TakesNoVotes { status },
            })
        },
    )
    .await;
}

// ---- lifecycle ----

#[tokio::test]
async fn cancel() {
    in_every_status(
        async |world, id| world.cancel(&id).await.map(drop),
        |status| Expect::step(status, Step::Cancel),
    )
    .await;
}

#[tokio::test]
async fn supersede_as_the_one_that_goes() {
    in_every_status(
        async |world, id| {
            let other = world.raise(502).await;
            world.supersede(&id, &other).await.map(drop)
        },
        |status| Expect::step(status, Step::Supersede),
    )
    .await;
}

#[tokio::test]
async fn supersede_as_the_one_that_comes() {
    for status in STATUSES {
        let world = world();
        let id = reach(&world, status).await;
        let old = world.raise(502).await;
        let (before, old_before) = (world.get(&id).await, world.get(&old).await);
        let done = world.supersede(&old, &id).await;
        let (after, old_after) = (world.get(&id).await, world.get(&old).await);
        if status.is_terminal() {
            let expected = RequestError::OtherIsFinal { other: id, status };
            assert!(
                matches!(&done, Err(GovernorError::Request(error)) if *error == expected),
                "{status}: {done:?}"
            );
            assert_same(&before, &after, status.as_str());
            assert_same(&old_before, &old_after, status.as_str());
        } else {
            done.unwrap();
            assert_eq!(after.status(), status);
            assert_one_write(&world, &before, &after);
            assert_eq!(old_after.status(), Status::Superseded);
            assert_eq!(after.links().supersedes(), [old]);
            assert_eq!(old_after.links().superseded_by(), Some(&id));
        }
        assert_whole(&after);
        assert_whole(&old_after);
    }
}

#[tokio::test]
async fn amend_deadline() {
    in_every_status(
        async |world, id| {
            let later = world.clock.read().saturating_add(LIFETIME * 3);
            world.amend_deadline(&id, Some(later)).await.map(drop)
        },
        Expect::amend,
    )
    .await;
}

#[tokio::test]
async fn amend_deadline_to_what_it_is() {
    in_every_status(
        async |world, id| {
            let same = world.get(&id).await.expires_at();
            world.amend_deadline(&id, same).await.map(drop)
        },
        |status| match Expect::amend(status) {
            Expect::Recorded => Expect::Nothing,
            refused => refused,
        },
    )
    .await;
}

#[tokio::test]
async fn amend_reason() {
    in_every_status(
        async |world, id| world.amend_reason(&id, "for the relaunch").await.map(drop),
        Expect::amend,
    )
    .await;
}

#[tokio::test]
async fn amend_reason_to_what_it_is() {
    in_every_status(
        async |world, id| world.amend_reason(&id, "for the launch").await.map(drop),
        |status| match Expect::amend(status) {
            Expect::Recorded => Expect::Nothing,
            refused => refused,
        },
    )
    .await;
}

#[tokio::test]
async fn retry() {
    in_every_status(
        async |world, id| world.retry(&id).await.map(drop),
        |status| Expect::step(status, Step::Retry),
    )
    .await;
}

#[tokio::test]
async fn submit_again_under_the_same_key() {
    in_every_status(
        async |world, id| {
            let options = SubmitOptions::new()
                .idempotency_key(IdempotencyKey::new("the-one").unwrap())
                .expires_in(LIFETIME);
            let (alice, team) = (user("alice"), state("team"));
            let again = world
                .governor
                .submit_with(&alice, &team, Raise { by: 500 }, options)
                .await?;
            assert!(again.is_replayed());
            assert_eq!(again.id(), id);
            Ok(())
        },
        |_| Expect::Nothing,
    )
    .await;
}

// ---- execution ----

#[tokio::test]
async fn execute_on_the_version_it_was_approved_for() {
    for on_stale in OnStale::ALL {
        in_every_status(
            async |world, id| world.execute(&id, on_stale).await.map(drop),
            |status| Expect::execution(status, Step::Complete),
        )
        .await;
    }
}

async fn execute_after_the_state_moved(to: &Quota, on_stale: OnStale, way: Step) {
    in_every_status(
        async |world, id| {
            world.put(to).await;
            world.execute(&id, on_stale).await.map(drop)
        },
        |status| Expect::execution(status, way),
    )
    .await;
}

#[tokio::test]
async fn execute_stale_and_reject() {
    execute_after_the_state_moved(&Quota::of(9), OnStale::Reject, Step::Reject).await;
}

#[tokio::test]
async fn execute_stale_and_renew_the_approval() {
    execute_after_the_state_moved(&Quota::of(9), OnStale::RenewApproval, Step::Hold).await;
}

#[tokio::test]
async fn execute_stale_and_revalidate() {
    execute_after_the_state_moved(&Quota::of(9), OnStale::Revalidate, Step::Complete).await;
}

#[tokio::test]
async fn execute_stale_on_any_version() {
    execute_after_the_state_moved(&Quota::of(9), OnStale::AnyVersion, Step::Complete).await;
}

#[tokio::test]
async fn execute_what_fails() {
    for on_stale in [OnStale::Revalidate, OnStale::AnyVersion] {
        execute_after_the_state_moved(&Quota::of(9).sealed(), on_stale, Step::Fail).await;
    }
}

#[tokio::test]
async fn dry_run_changes_nothing_in_any_status() {
    for on_stale in OnStale::ALL {
        for moved in [false, true] {
            in_every_status(
                async |world, id| {
                    if moved {
                        world.put(&Quota::of(9)).await;
                    }
                    let (_, version) = world.quota().await;
                    let done = world.dry_run(&id, on_stale).await.map(drop);
                    assert_eq!(world.quota().await.1, version);
                    done
                },
                |status| match status {
                    Status::Approved => Expect::Nothing,
                    status => match Expect::step(status, Step::Complete) {
                        Expect::Goes(_) => Expect::Nothing,
                        refused => refused,
                    },
                },
            )
            .await;
        }
    }
}

#[tokio::test]
async fn reads_change_nothing_in_any_status() {
    in_every_status(
        async |world, id| {
            let explanation = world.governor.explain(&id).await?;
            assert_eq!(explanation.status, world.governor.get(&id).await?.status());
            Ok(())
        },
        |_| Expect::Nothing,
    )
    .await;
}

// ---- time ----

#[tokio::test]
async fn tick_before_the_deadline() {
    in_every_status(
        async |world, _| {
            let report = world.tick().await;
            assert!(report.items.is_empty());
            Ok(())
        },
        |_| Expect::Nothing,
    )
    .await;
}

#[tokio::test]
async fn tick_at_the_deadline() {
    in_every_status(
        async |world, _| {
            world.clock.advance(LIFETIME);
            world.tick().await;
            Ok(())
        },
        |status| match Expect::step(status, Step::Expire) {
            Expect::Refused(_) => Expect::Nothing,
            goes => goes,
        },
    )
    .await;
}

/// Whatever is asked of a request past its deadline: it is refused as overdue, and all that
/// becomes of it is that it expires.
async fn overdue_in(
    statuses: impl IntoIterator<Item = Status>,
    operation: impl AsyncFn(&World, RequestId) -> Result<(), GovernorError>,
) {
    for status in statuses {
        let world = world();
        let id = reach(&world, status).await;
        let before = world.get(&id).await;
        world.clock.advance(LIFETIME);
        let error = operation(&world, id).await.expect_err("a refusal");
        assert_eq!(error.code(), "request.overdue", "{status}");
        let after = world.get(&id).await;
        assert_eq!(after.status(), Status::Expired, "{status}");
        assert_one_write(&world, &before, &after);
        assert_whole(&after);
    }
}

#[tokio::test]
async fn an_overdue_request_takes_no_votes() {
    let pending = [Status::Pending];
    overdue_in(pending, async |world, id| {
        world.approve(&id, "carol").await.map(drop)
    })
    .await;
    overdue_in(pending, async |world, id| {
        world.deny(&id, "carol").await.map(drop)
    })
    .await;
    overdue_in(pending, async |world, id| {
        world.withdraw(&id, "bob").await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn an_overdue_request_is_not_amended() {
    let pending = [Status::Pending];
    overdue_in(pending, async |world, id| {
        let later = world.clock.read().saturating_add(LIFETIME);
        world.amend_deadline(&id, Some(later)).await.map(drop)
    })
    .await;
    overdue_in(pending, async |world, id| {
        world.amend_reason(&id, "too late").await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn an_overdue_request_is_not_canceled_or_superseded() {
    let open = [Status::Pending, Status::Approved, Status::Failed];
    overdue_in(open, async |world, id| world.cancel(&id).await.map(drop)).await;
    overdue_in(open, async |world, id| {
        let other = world.raise(502).await;
        world.supersede(&id, &other).await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn an_overdue_request_takes_no_place() {
    let open = [Status::Pending, Status::Approved, Status::Failed];
    overdue_in(open, async |world, id| {
        let old = world.raise(502).await;
        let before = world.get(&old).await;
        let done = world.supersede(&old, &id).await.map(drop);
        let after = world.get(&old).await;
        assert_same(&before, &after, "a refused supersession");
        done
    })
    .await;
}

#[tokio::test]
async fn an_overdue_request_is_not_executed_or_retried() {
    overdue_in([Status::Approved], async |world, id| {
        let done = world.execute(&id, OnStale::AnyVersion).await.map(drop);
        assert_eq!(world.quota().await.0, Quota::default());
        done
    })
    .await;
    overdue_in([Status::Failed], async |world, id| {
        world.retry(&id).await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn a_dry_run_of_an_overdue_request_writes_nothing() {
    let world = world();
    let id = reach(&world, Status::Approved).await;
    let before = world.get(&id).await;
    world.clock.advance(LIFETIME);
    let done = world.dry_run(&id, OnStale::Reject).await;
    assert_eq!(done.unwrap_err().code(), "request.overdue");
    let after = world.get(&id).await;
    assert_same(&before, &after, "a dry run");
}

// ---- the table as a whole ----

#[tokio::test]
async fn submission_leads_where_the_table_says() {
    let world = world();
    for (by, to) in [(500, Step::Hold), (1, Step::Approve)] {
        let request = world.get(&world.raise(by).await).await;
        assert_eq!(Some(request.status()), Status::Created.after(to));
        assert_eq!(request.revision().get(), 1);
        assert_whole(&request);
    }
    let denying = World::new(policy_fn("no", |_| {
        Ok(PolicyDecision::deny("no.way", "no")?)
    }));
    let request = denying.get(&denying.raise(1).await).await;
    assert_eq!(Some(request.status()), Status::Created.after(Step::Reject));
    assert_eq!(request.revision().get(), 1);
    assert_whole(&request);
}

/// The edges a history took, as from and to.
fn edges(request: &MutationRequest) -> impl Iterator<Item = (Status, Status)> {
    let statuses: Vec<Status> = request.decisions().iter().map(|d| d.status()).collect();
    let pairs: Vec<_> = statuses.windows(2).map(|w| (w[0], w[1])).collect();
    pairs.into_iter().filter(|(from, to)| from != to)
}

#[tokio::test]
async fn the_public_operations_take_every_edge_of_the_table() {
    let mut taken = BTreeSet::new();
    let mut see = |request: &MutationRequest| taken.extend(edges(request));
    for status in STATUSES {
        let world = world();
        see(&*world.get(&reach(&world, status).await).await);
    }
    for status in [Status::Approved, Status::Failed] {
        let world = world();
        let id = reach(&world, status).await;
        let canceled = world.cancel(&id).await;
        see(&canceled.unwrap());
        let world = self::world();
        let id = reach(&world, status).await;
        let other = world.raise(502).await;
        let superseded = world.supersede(&id, &other).await;
        see(&superseded.unwrap());
        let world = self::world();
        let id = reach(&world, status).await;
        world.clock.advance(LIFETIME);
        world.tick().await;
        see(&*world.get(&id).await);
    }
    for on_stale in [OnStale::Reject, OnStale::RenewApproval] {
        let world = world();
        let id = reach(&world, Status::Approved).await;
        world.put(&Quota::of(9)).await;
        see(world.execute(&id, on_stale).await.unwrap().request());
    }
    let world = world();
    let id = reach(&world, Status::Failed).await;
    let retried = world.retry(&id).await;
    see(&retried.unwrap());
    see(&*world.get(&world.raise(1).await).await);
    let denying = World::new(policy_fn("no", |_| {
        Ok(PolicyDecision::deny("no.way", "no")?)
    }));
    see(&*denying.get(&denying.raise(1).await).await);

    let table: BTreeSet<_> = Status::ALL
        .into_iter()
        .flat_map(|from| {
            let steps = Step::ALL.into_iter();
            steps.filter_map(move |step| Some((from, from.after(step)?)))
        })
        .collect();
    assert_eq!(taken, table);
}

/// Every act a draft offers, on a request of every status: none of them leaves a final status,
/// and none writes to a request that has one.
#[tokio::test]
async fn terminal_statuses_absorb_every_act_of_a_draft() {
    type Try = fn(&mut Draft, &MutationRequest) -> Result<(), RequestError>;
    let acts: [(&str, Try); 18] = [
        ("accept_any_version", |d, _| d.accept_any_version(version())),
        ("approve", |d, _| d.approve(security(), why())),
        ("deny", |d, _| d.deny(security(), why(), &"no good".into())),
        ("withdraw", |d, _| d.withdraw(why())),
        ("unreachable", |d, _| d.reject_if_unreachable(&[]).map(drop)),
        ("cancel", |d, _| d.cancel(why())),
        ("expire", |d, _| d.expire()),
        ("supersede", |d, other| d.supersede(other, why())),
        ("take_place_of", |d, other| {
            d.take_place_of(*other.id(), why())
        }),
        ("amend_deadline", |d, _| d.amend_deadline(None, why())),
        ("amend_reason", |d, _| d.amend_reason(why())),
        ("check_executable", |d, _| d.check_executable()),
        ("reject_stale", |d, _| d.reject_stale(version())),
        ("reject_invalid", |d, _| d.reject_invalid(version(), vec![])),
        ("revalidate", |d, _| {
            d.revalidate(version(), &Judgement::allowed(vec![]))
        }),
        ("renew", |d, _| {
            d.renew(version(), &Judgement::allowed(vec![]))
        }),
        ("require_more", |d, _| {
            d.require_more(version(), &Judgement::allowed(vec![]))
        }),
        ("retry", |d, _| d.retry(why())),
    ];
    for status in STATUSES.into_iter().filter(|status| status.is_terminal()) {
        let world = world();
        let id = reach(&world, status).await;
        let other = world.get(&world.raise(502).await).await;
        let before = world.get(&id).await;
        for (name, act) in acts {
            let mut draft = before.draft(an_act(&world));
            let done = act(&mut draft, &other);
            // Nobody is left who could make it unreachable: that is an answer, not a refusal.
            assert!(done.is_err() || name == "unreachable", "{status}: {name}");
            assert!(!draft.is_changed(), "{status}: {name}");
            assert_same(&before, &draft.finish(), name);
        }
        let completed =
            before
                .draft(an_act(&world))
                .complete(version(), version().next(), vec![], vec![]);
        let not_allowed = RequestError::NotAllowed {
            status,
            step: Step::Complete,
        };
        assert_eq!(completed, Err(not_allowed));
    }
}

fn why() -> Reason {
    Reason::new("because of it").expect("a reason")
}

fn version() -> StateVersion {
    StateVersion::new(7)
}

fn security() -> Membership {
    Membership::default().group(group("security"))
}

fn an_act(world: &World) -> Act {
    let operation = OperationId::from_bytes([9; 16]);
    Act::new(&user("carol"), world.clock.read(), operation)
}

#[test]
fn the_diagram_in_the_guide_is_the_table() {
    const BEGIN: &str = "<!-- generated: state diagram -->\n";
    const END: &str = "<!-- end of generated: state diagram -->\n";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/status.md");
    let text = std::fs::read_to_string(path).expect("docs/status.md");
    let (head, rest) = text.split_once(BEGIN).expect("the begin marker");
    let (block, tail) = rest.split_once(END).expect("the end marker");
    let generated = format!("```mermaid\n{}```\n", state_diagram());
    if std::env::var_os("UPDATE_DOCS").is_some_and(|v| v == "1") {
        let updated = format!("{head}{BEGIN}{generated}{END}{tail}");
        std::fs::write(path, updated).expect("docs/status.md can be written");
        return;
    }
    assert_eq!(
        block, generated,
        "docs/status.md is out of date: run this test with UPDATE_DOCS=1"
    );
}
