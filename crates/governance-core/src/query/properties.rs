//! What has to hold for all requests and queries.

use proptest::prelude::*;
use serde_json::json;

use super::{
    ApprovalQuery, DecisionQuery, Filter, RequestQuery, SideEffectFilter, TimeRange,
    approval_views, decision_views, matches, matches_decision, passing_terms, plan, terms,
    testing::{
        PEOPLE, Spec, Step, act, actor_id, at, filters, label, lives, membership, queries, reason,
        role, state, take, tenant,
    },
};
use crate::{
    BallotOutcome, DecisionKind, HistoryProblem, MutationRequest, RequestError, RequirementStatus,
    Severity, Status, Verdict, Vote, VoteRefused,
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_plan_finds_every_match(
        (_, forms, time) in lives(),
        queries in prop::collection::vec(queries(), 1..9),
        later in 0_i64..30,
    ) {
        let now = at(time + later);
        for query in &queries {
            prop_assert_eq!(query.check(), Ok(()));
            let plan = plan(query);
            for request in &forms {
                let found = plan.expr().contains(&terms(request));
                let matched = matches(query, request, now);
                prop_assert!(found || !matched, "{:?} misses {:?}", plan, terms(request));
                prop_assert!(!plan.is_exact() || found == matched, "{:?}", plan);
                if let Some(ids) = plan.ids() {
                    prop_assert!(ids.contains(request.id()) || !matched);
                }
            }
        }
    }

    #[test]
    fn until_a_deadline_passes_time_changes_nothing_about_the_votes(
        (_, forms, time) in lives(), sooner in 0_i64..30,
    ) {
        let now = at(time - sooner);
        for request in forms.iter().filter(|request| request.awaits_approval()) {
            let outcome = request.evaluate(now).outcome;
            match request.due_at() {
                Some(deadline) if deadline <= now => {}
                _ => prop_assert_eq!(
                    request.open_stage().map(|stage| BallotOutcome::Open { stage }),
                    Some(outcome)
                ),
            }
        }
    }

    #[test]
    fn every_method_narrows(
        (_, forms, time) in lives(), query in queries(), filter in filters(),
    ) {
        let now = at(time);
        let narrower = [
            query.clone().and(filter.clone()),
            query.clone().excluding(filter),
            query.clone().pending(),
            query.clone().approval_queue(),
            query.clone().recently_approved(),
            query.clone().recent_outcomes(),
            query.clone().due_by(now),
            query.clone().tags_all([label("tag", 0), label("tag", 1)]),
        ];
        for request in &forms {
            let before = matches(&query, request, now);
            prop_assert!(narrower.iter().all(|q| before || !matches(q, request, now)));
            let (with, without) =
                (matches(&narrower[0], request, now), matches(&narrower[1], request, now));
            prop_assert!(!(with && without) && (with || without) == before);
        }
    }

    #[test]
    fn who_can_decide_is_who_can_vote(
        (spec, forms, time) in lives(), earlier in 0_i64..60, later in 0_i64..60,
    ) {
        let now = time - earlier + later;
        for request in &forms {
            for who in 0..PEOPLE {
                let votes = |verdict| take(request, &Step::Vote(who, verdict), &spec, now);
                let approve = votes(Verdict::Approve).map(|_| ());
                let expected = approve.or_else(|e| votes(Verdict::Deny).map(|_| ()).map_err(|_| e));
                let can = request.can_decide(&actor_id(who), &membership(who), at(now));
                prop_assert_eq!(can, expected);
            }
        }
    }

    #[test]
    fn d54_open_terms_find_everybody_who_can_decide((_, forms, time) in lives()) {
        for who in 0..PEOPLE {
            let query = RequestQuery::all_tenants().decidable_by(actor_id(who), membership(who));
            let plan = plan(&query);
            for request in &forms {
                let found = plan.expr().contains(&terms(request));
                prop_assert!(found || !matches(&query, request, at(time)));
            }
        }
    }

    #[test]
    fn an_approval_is_accepted_if_it_fills_a_seat((spec, forms, time) in lives()) {
        for request in &forms {
            let Some(stage) = request.open_stage() else { continue };
            for who in 0..PEOPLE {
                let result = take(request, &Step::Vote(who, Verdict::Approve), &spec, time);
                let accepted = match result {
                    Ok(_) => true,
                    Err(RequestError::Vote(VoteRefused::SeatsFilled { .. })) => false,
                    Err(_) => continue,
                };
                let mut round = request.round().clone();
                let before = round.evaluate(request.proposal().parties(), at(time));
                round.votes.push(Vote::new(
                    actor_id(who),
                    Verdict::Approve,
                    stage,
                    *round.subject(),
                    membership(who),
                    reason(),
                    at(time),
                    act(who, time).operation,
                ));
                let after = round.evaluate(request.proposal().parties(), at(time));
                prop_assert_eq!(after.filled_seats() > before.filled_seats(), accepted);
            }
        }
    }

    #[test]
    fn terms_differ_by_what_was_removed_and_added((_, forms, _) in lives()) {
        for pair in forms.windows(2) {
            let (old, new) = (terms(&pair[0]), terms(&pair[1]));
            let kept = old.iter().filter(|t| !old.removed(&new).any(|gone| gone == *t));
            let made: super::Terms = kept.chain(old.added(&new)).cloned().collect();
            prop_assert_eq!(&made, &new);
            let (before, after) = (passing_terms(&pair[0]), passing_terms(&pair[1]));
            prop_assert!(before.removed(&after).eq(old.removed(&new)));
            prop_assert!(before.added(&after).eq(old.added(&new)));
            let single = new.iter().filter(|t| t.dimension().is_single_valued());
            let dimensions: Vec<_> = single.map(super::Term::dimension).collect();
            prop_assert!(dimensions.windows(2).all(|d| d[0] < d[1]), "{:?}", new);
        }
    }

    #[test]
    fn d40_nothing_is_open_in_what_has_ended((_, forms, time) in lives(), later in 0_i64..300) {
        let now = at(time + later);
        let all = ApprovalQuery::of(RequestQuery::all_tenants());
        for request in &forms {
            let views = approval_views(&all, request, now);
            prop_assert_eq!(views.len(), request.round().rules().requirements().len());
            let live = views.iter().any(|v| matches!(
                v.status, RequirementStatus::Open | RequirementStatus::Waiting
            ));
            prop_assert!(request.awaits_approval() || !live);
            let open = approval_views(&all.clone().open(), request, now);
            prop_assert!(open.iter().all(|v| v.open_seats > 0 && views.contains(v)));
        }
    }

    /// What is kept beside a request so as not to work it out again is what its document says,
    /// and a record that was made here and is not checked again would have passed.
    #[test]
    fn what_is_known_of_a_request_is_what_its_document_says((_, forms, _) in lives()) {
        for request in &forms {
            let stored = rmp_serde::to_vec_named(request).unwrap();
            let read: MutationRequest = rmp_serde::from_slice(&stored).unwrap();
            prop_assert_eq!(&read, request);
            prop_assert_eq!(read.due_at(), request.due_at());
            prop_assert_eq!(terms(&read), terms(request));
            prop_assert_eq!(read.verify_if_read(), Ok(()));
            prop_assert_eq!(request.verify_history(), Ok(()));
        }
    }

    /// The limit of documents works by the footprint, so it must not miss what is large.
    #[test]
    fn a_footprint_is_about_as_large_as_the_document((_, forms, _) in lives()) {
        for request in &forms {
            let stored = rmp_serde::to_vec_named(request).unwrap().len();
            let counted = request.footprint();
            prop_assert!(2 * counted >= stored, "{} of {}", counted, stored);
        }
    }

    /// Stored by its full code, found by its full code.
    #[test]
    fn every_decision_has_a_listed_code((_, forms, _) in lives()) {
        for decision in forms.iter().flat_map(MutationRequest::decisions) {
            prop_assert!(DecisionKind::CODES.contains(&decision.kind().to_string().as_str()));
        }
    }

    #[test]
    fn d24_outcomes_are_complete((_, forms, time) in lives()) {
        let outcomes = DecisionQuery::of(RequestQuery::all_tenants()).recent_outcomes();
        for request in &forms {
            let ended = request.status().is_terminal() || request.status() == Status::Failed;
            let views = decision_views(&outcomes, request, at(time));
            prop_assert!(!ended || !views.is_empty());
            let last = views.last().map(|v| v.decision.status());
            prop_assert!(!ended || last == Some(request.status()));
            prop_assert!(views.iter().all(|v| matches_decision(&outcomes, &v.decision)));
        }
    }
}

/// A request that waits for one of two in a first stage and for one in a second.
fn staged() -> (Spec, MutationRequest) {
    let spec = Spec {
        requirements: vec![(1, 1, 0, 2, None), (2, 1, 1, 1, Some(50))],
        deadline: Some(100),
        ..Spec::plain()
    };
    let request = spec.submit();
    (spec, request)
}

#[test]
fn d54_the_queue_lists_what_a_person_can_decide_now() {
    let (spec, request) = staged();
    let all = || RequestQuery::in_tenant(tenant(0));
    let lists = |request: &MutationRequest, who: usize, now| {
        let query = all().decidable_by(actor_id(who), membership(who));
        matches(&query, request, at(now))
    };
    // The first stage asks for role 0: the requester's delegate has it, but is a party.
    let listed = |request: &MutationRequest, now| {
        (0..PEOPLE)
            .filter(|who| lists(request, *who, now))
            .collect::<Vec<_>>()
    };
    assert_eq!(listed(&request, 1), [1, 2]);
    assert!(listed(&request, 100).is_empty(), "its deadline has passed");
    let next = take(&request, &Step::Vote(1, Verdict::Approve), &spec, 10).unwrap();
    // Person 1 has voted, person 2 can still deny, 3 and 5 are asked now.
    assert_eq!(listed(&next, 11), [2, 3, 5]);
    assert!(listed(&next, 62).is_empty(), "a requirement has expired");
    let done = take(&next, &Step::Vote(3, Verdict::Approve), &spec, 20).unwrap();
    assert!(listed(&done, 21).is_empty());
    assert_eq!(done.status(), Status::Approved);
}

#[test]
fn d54_open_terms_are_those_of_the_stages_asked_so_far() {
    let (spec, request) = staged();
    let open = |request: &MutationRequest| -> Vec<String> {
        let terms = terms(request);
        let open = terms
            .iter()
            .filter(|t| t.dimension() == super::Dimension::OpenRole);
        open.map(|t| t.value().to_owned()).collect()
    };
    assert_eq!(open(&request), ["role-0"]);
    let next = take(&request, &Step::Vote(1, Verdict::Approve), &spec, 10).unwrap();
    assert_eq!(open(&next), ["role-0", "role-1"]);
    let canceled = take(&next, &Step::Cancel, &spec, 20).unwrap();
    assert!(open(&canceled).is_empty());
}

#[test]
fn d55_presets_narrow() {
    let (_, request) = staged();
    let query = RequestQuery::in_tenant(tenant(0)).statuses([Status::Executed]);
    assert!(!matches(&query.clone().pending(), &request, at(1)));
    let both = plan(&query.approval_queue());
    assert_eq!(*both.expr(), super::Expr::Nothing);
    assert!(both.is_exact());

    let queue = ApprovalQuery::of(RequestQuery::in_tenant(tenant(0)));
    let waiting = queue.clone().statuses([RequirementStatus::Waiting]);
    assert_eq!(approval_views(&waiting, &request, at(1)).len(), 1);
    assert!(approval_views(&waiting.open(), &request, at(1)).is_empty());
    assert_eq!(
        approval_views(&queue.open().roles([role(0)]), &request, at(1)).len(),
        1
    );
}

#[test]
fn d56_empty_is_not_absent() {
    let (_, request) = staged();
    let all = || RequestQuery::in_tenant(tenant(0));
    assert!(matches(&all(), &request, at(1)));
    for none in [
        all().ids([]),
        all().states([]),
        all().statuses([]),
        all().tags_any([]),
        all().requester_names::<String>([]),
        all().decision_codes::<String>([]),
        all().and(Filter::nothing()),
        all().side_effect(SideEffectFilter::any().kinds([])),
    ] {
        assert!(!matches(&none, &request, at(1)), "{none:?}");
    }
    assert_eq!(*plan(&all().states([])).expr(), super::Expr::Nothing);
    assert!(matches(&all().tags_all([]), &request, at(1)));
    assert!(matches(&all().and(Filter::everything()), &request, at(1)));
    let nobody = ApprovalQuery::of(all()).actors([]);
    assert!(approval_views(&nobody, &request, at(1)).is_empty());
}

#[test]
fn d57_values_compare_by_structure() {
    let spec = Spec {
        extras: true,
        ..Spec::plain()
    };
    let request = spec.submit();
    let document = rmp_serde::to_vec_named(&request).unwrap();
    let stored: MutationRequest = rmp_serde::from_slice(&document).unwrap();
    let nested = |value| RequestQuery::all_tenants().request_metadata("nested", value);
    for request in [&request, &stored] {
        let same = json!({"a": 1.5, "b": [1, {"x": null}]});
        assert!(matches(&nested(same), request, at(1)));
        assert!(!matches(&nested(json!({"a": 1.5})), request, at(1)));
        let number = |n: serde_json::Value| RequestQuery::all_tenants().intent_metadata("n", n);
        assert!(matches(&number(json!(1)), request, at(1)));
        assert!(!matches(&number(json!(1.0)), request, at(1)));
        assert!(!matches(&number(json!("1")), request, at(1)));
    }
}

#[test]
fn d58_a_tenant_sees_its_own_states_only() {
    let here = Spec::plain().submit();
    let elsewhere = Spec {
        tenant: 1,
        ..Spec::plain()
    };
    let elsewhere = elsewhere.submit();
    let query = RequestQuery::in_tenant(tenant(0)).states([state(0)]);
    let plan = plan(&query);
    assert!(plan.is_exact());
    assert!(matches(&query, &here, at(1)) && plan.expr().contains(&terms(&here)));
    assert!(!matches(&query, &elsewhere, at(1)) && !plan.expr().contains(&terms(&elsewhere)));
}

#[test]
fn all_conditions_on_a_side_effect_are_about_the_same_one() {
    let spec = Spec {
        judgement: 0,
        ..Spec::plain()
    };
    let request = take(&spec.submit(), &Step::Complete, &spec, 1).unwrap();
    let has = |effect| {
        matches(
            &RequestQuery::all_tenants().side_effect(effect),
            &request,
            at(2),
        )
    };
    let any = SideEffectFilter::any;
    assert!(has(any().kinds([label("mail", 0)])));
    assert!(has(any().severities([Severity::Critical])));
    let mixed = any()
        .kinds([label("mail", 0)])
        .severities([Severity::Critical]);
    assert!(!has(mixed));
    assert!(has(any()
        .contracts([label("contract", 0)])
        .requires_action(false)));
}

#[test]
fn version_resolutions_are_listed() {
    let spec = Spec {
        judgement: 0,
        ..Spec::plain()
    };
    let request = take(&spec.submit(), &Step::Renew, &spec, 5).unwrap();
    let query = DecisionQuery::of(RequestQuery::in_tenant(tenant(0))).recent_version_resolutions();
    let views = decision_views(&query, &request, at(9));
    let codes: Vec<_> = views.iter().map(|v| v.decision.kind().code()).collect();
    assert_eq!(codes, ["renewed_approval_required"]);
    let before = query.clone().at(TimeRange::until(at(4)));
    assert!(decision_views(&before, &request, at(9)).is_empty());
    assert!(decision_views(&query.actors([actor_id(1)]), &request, at(9)).is_empty());
}

#[test]
fn a_vote_either_way_is_a_decision_of_the_voter() {
    let (spec, request) = staged();
    let decided = |who: usize, request: &MutationRequest| {
        let query = RequestQuery::all_tenants().decided_by([actor_id(who)]);
        let found = plan(&query).expr().contains(&terms(request));
        assert_eq!(found, matches(&query, request, at(9)));
        found
    };
    assert!(!decided(0, &request), "submitting is no vote");
    let denied = take(&request, &Step::Vote(1, Verdict::Deny), &spec, 1).unwrap();
    let approved = take(&denied, &Step::Vote(2, Verdict::Approve), &spec, 2).unwrap();
    assert!(decided(1, &approved) && decided(2, &approved) && !decided(3, &approved));
    let withdrawn = take(&approved, &Step::Withdraw(2), &spec, 3).unwrap();
    assert!(decided(2, &withdrawn), "the history remembers");
}

#[test]
fn d40_what_was_canceled_in_time_does_not_expire_later() {
    let spec = Spec {
        requirements: vec![(1, 2, 0, 1, Some(50)), (2, 1, 1, 1, None)],
        ..Spec::plain()
    };
    let voted = take(&spec.submit(), &Step::Vote(1, Verdict::Approve), &spec, 1).unwrap();
    let canceled = take(&voted, &Step::Cancel, &spec, 2).unwrap();
    let query = ApprovalQuery::of(RequestQuery::in_tenant(tenant(0)));
    let views = approval_views(&query, &canceled, at(1_000));
    assert!(views.iter().all(|v| v.status == RequirementStatus::Closed));
    assert_eq!((views[0].filled.len(), views[0].open_seats), (1, 1));
    let views = approval_views(&query, &voted, at(1_000));
    assert_eq!(views[0].status, RequirementStatus::Expired);
    assert_eq!(views[1].status, RequirementStatus::Waiting);
}

#[test]
fn text_is_found_in_upper_or_lower_case() {
    let spec = Spec {
        extras: true,
        ..Spec::plain()
    };
    let request = spec.submit();
    let has = |text: &str| matches(&RequestQuery::all_tenants().text(text), &request, at(1));
    for text in ["TICKET 12", "operation-0", "ärger", "sTaTe-0", ""] {
        assert!(has(text), "{text}");
    }
    assert!(!has("category") && !has("ticket 13"));
}

#[test]
fn a_request_that_was_read_is_checked_and_stays_so() {
    let made = Spec::plain().submit();
    let mut document = serde_json::to_value(&made).unwrap();
    document["decisions"][0]["actor"]["id"] = "mallory".into();
    let read: MutationRequest = serde_json::from_value(document).unwrap();
    let changed = take(&read, &Step::Cancel, &Spec::plain(), 5).unwrap();
    for form in [read, changed] {
        let problem = form.verify_if_read().unwrap_err().problem();
        assert_eq!(problem, HistoryProblem::Digest);
    }
    assert_eq!(made.verify_if_read(), Ok(()));
}
