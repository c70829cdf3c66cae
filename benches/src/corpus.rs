//! Pending requests with tags of known frequency, and the listings that are measured on them.

use std::sync::Arc;

use anyhow::Result;
use governance_core::{
    Act, Actor, ActorId, ApprovalRules, Context, Group, Intent, Judgement, Label, Membership,
    MutationRequest, MutationType, OperationId, Payload, Proposal, RequestId, RequestQuery,
    Requirement, Risk, Role, Scope, Selector, StateId, StateType, StateVersion, TenantId,
    Timestamp,
};

/// A listing that is measured: two or three filters that have to hold together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// Two independent tags, each on half of all requests.
    DenseDense,
    /// A tag on 100 requests and one on half of all.
    RareDense,
    /// Two tags on 1 000 requests each, at random.
    RareRare,
    /// Two tags on half of all requests each, never together.
    Empty,
    /// Tags on 5 %, 10 % and 50 %.
    Three,
    /// What a person with a role and two groups can decide.
    Decidable,
}

impl Case {
    /// Every case.
    pub const ALL: [Self; 6] = [
        Self::DenseDense,
        Self::RareDense,
        Self::RareRare,
        Self::Empty,
        Self::Three,
        Self::Decidable,
    ];

    /// The stable name, part of the report.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DenseDense => "dense_dense",
            Self::RareDense => "rare_dense",
            Self::RareRare => "rare_rare",
            Self::Empty => "empty",
            Self::Three => "three",
            Self::Decidable => "decidable",
        }
    }

    /// The query, over what is pending in one tenant.
    ///
    /// # Errors
    ///
    /// None: the names are valid.
    pub fn query(self) -> Result<RequestQuery> {
        let tags: &[&str] = match self {
            Self::DenseDense => &["half-a", "half-b"],
            Self::RareDense => &["hundred", "half-a"],
            Self::RareRare => &["thousand-a", "thousand-b"],
            Self::Empty => &["left", "right"],
            Self::Three => &["twentieth", "tenth", "half-a"],
            Self::Decidable => {
                let (actor, membership) = person()?;
                let query = RequestQuery::in_tenant(TenantId::default());
                return Ok(query.pending().decidable_by(actor, membership));
            }
        };
        tags.iter().try_fold(
            RequestQuery::in_tenant(TenantId::default()).pending(),
            |query, tag| Ok(query.tags_all([Label::new(tag)?])),
        )
    }
}

const ROLES: u64 = 10;
const GROUPS: u64 = 20;
const PEOPLE: u64 = 1_000;

/// The person of [`Case::Decidable`], with one role and two groups.
///
/// # Errors
///
/// None: the names are valid.
pub fn person() -> Result<(ActorId, Membership)> {
    let membership = Membership::default()
        .role(Role::new("role-0")?)
        .group(Group::new("group-0")?)
        .group(Group::new("group-1")?);
    Ok((ActorId::new("user-7")?, membership))
}

/// Somebody who holds every role of the corpus, and so may approve any of its requests.
///
/// # Errors
///
/// None: the names are valid.
pub fn approver() -> Result<(Actor, Membership)> {
    let roles = (0..ROLES).try_fold(Membership::default(), |membership, number| {
        anyhow::Ok(membership.role(Role::new(format!("role-{number}"))?))
    })?;
    Ok((Actor::user("approver")?, roles))
}

/// Makes the requests of a store of a given size, one by one. The same size and number give the
/// same request.
///
/// One request more for every 15 pending ones is not listed: it is refused, or of another tenant.
/// So no filter of a listing holds for everything.
#[derive(Debug)]
pub struct Corpus {
    size: u64,
    is_lean: bool,
    other: TenantId,
    state_type: StateType,
    mutation: MutationType,
}

impl Corpus {
    /// Of so many requests, all but one are pending in the default tenant.
    const LISTED: u64 = 16;

    /// Requests of a store with so many pending ones, at least 1 000.
    ///
    /// # Errors
    ///
    /// None: the names are valid.
    pub fn new(pending: usize) -> Result<Self> {
        let pending = (pending as u64).max(1_000);
        Ok(Self {
            size: pending + pending / (Self::LISTED - 1),
            is_lean: false,
            other: TenantId::new("other")?,
            state_type: StateType::new("iam.policy")?,
            mutation: MutationType::new("iam.put_policy")?,
        })
    }

    /// The same number of requests with as little in them as a request that waits for approval can
    /// have: no tags, and one role that is asked instead of a role and a group.
    ///
    /// # Errors
    ///
    /// None: the names are valid.
    pub fn lean(pending: usize) -> Result<Self> {
        Ok(Self {
            is_lean: true,
            ..Self::new(pending)?
        })
    }

    /// How many requests there are, those that are not listed included.
    #[must_use]
    pub fn total(&self) -> usize {
        usize::try_from(self.size).unwrap_or(usize::MAX)
    }

    /// Every request, in the order of submission.
    pub fn requests(&self) -> impl Iterator<Item = Result<Arc<MutationRequest>>> {
        (0..self.size).map(|number| self.request(number).map(Arc::new))
    }

    fn tags(&self, number: u64) -> impl Iterator<Item = &'static str> {
        let bits = mix(number);
        let one_in = |n: u64, shift: u32| (bits >> shift).is_multiple_of(n);
        // One request of every stretch, so there are as many as the name says.
        let chosen = |count: u64, seed: u64| {
            let stretch = self.size / count;
            let (at, within) = (number / stretch, number % stretch);
            at < count && mix(at ^ (seed << 32)) % stretch == within
        };
        [
            (one_in(2, 0), "half-a"),
            (one_in(2, 1), "half-b"),
            (one_in(2, 2), "left"),
            (!one_in(2, 2), "right"),
            (one_in(20, 8), "twentieth"),
            (one_in(10, 24), "tenth"),
            (chosen(100, 1), "hundred"),
            (chosen(1_000, 2), "thousand-a"),
            (chosen(1_000, 3), "thousand-b"),
        ]
        .into_iter()
        .filter_map(|(has, tag)| has.then_some(tag))
    }

    /// Whether a request is pending in the default tenant.
    #[must_use]
    pub const fn is_listed(number: u64) -> bool {
        !number.is_multiple_of(Self::LISTED)
    }

    /// One request. Those from [`total`](Self::total) on are more of the same kind.
    ///
    /// # Errors
    ///
    /// None: the names are valid.
    pub fn request(&self, number: u64) -> Result<MutationRequest> {
        let bits = mix(number ^ (1 << 40));
        let listed = Self::is_listed(number);
        let refused = !listed && bits.is_multiple_of(2);
        let scope = Scope {
            tenant: if listed || refused {
                TenantId::default()
            } else {
                self.other.clone()
            },
            state_type: self.state_type.clone(),
            state_id: StateId::new(format!("service/{}", number / 3))?,
        };
        let mut intent = Intent::new("policy.put", "iam")?.risk(Risk::Medium);
        for tag in self.tags(number).filter(|_| !self.is_lean) {
            intent = intent.tag(tag)?;
        }
        let at = Timestamp::from_micros(1_780_000_000_000_000 + i64::try_from(number)? * 1_000);
        let requester = Actor::user(format!("user-{}", bits % PEOPLE))?;
        let operation = OperationId::from_bytes(u128::from(bits).to_be_bytes());
        let act = Act::new(Context::of(&requester), at, operation);
        let role = Role::new(format!("role-{}", (bits >> 16) % ROLES))?;
        let group = Group::new(format!("group-{}", (bits >> 32) % GROUPS))?;
        let reviewers = if self.is_lean {
            Selector::role(role)
        } else {
            Selector::role(role).or(Selector::group(group))
        };
        let rules = ApprovalRules::new([Requirement::seats("review", 1, reviewers)?])?;
        let mut random = [0; 10];
        random[..2].copy_from_slice(&bits.to_be_bytes()[..2]);
        random[4..].copy_from_slice(&number.to_be_bytes()[2..]);
        let proposal = Proposal::new(
            RequestId::new(at, scope.slot(), random),
            scope,
            Payload::encode(self.mutation.clone(), 1, &number)?,
            intent,
            StateVersion::new(1),
            &act,
        );
        let judgement = if refused {
            Judgement::denied(Vec::new())
        } else {
            Judgement::required(rules, Vec::new())
        };
        // Far off, so nothing is due while it is measured.
        let deadline = Timestamp::from_micros(4_000_000_000_000_000 + i64::try_from(number)?);
        let deadline = number.is_multiple_of(2).then_some(deadline);
        Ok(MutationRequest::submit(
            proposal, &judgement, deadline, &act,
        )?)
    }
}

/// Scatters a number (the finaliser of `SplitMix64`).
const fn mix(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
