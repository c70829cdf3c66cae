//! What can change, and who is asked.

use governance_core::{
    Applied, ApprovalRules, Change, GovernedState, Intent, InvalidName, Mutation, MutationError,
    Payload, PolicyDecision, PolicyFault, PolicySubject, Requirement, Role, Selector, UpgradeError,
    ValidationErrors,
};
use serde::{Deserialize, Serialize};

/// For how many of a hundred users something is on. The id of the state is `environment/name`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Flag {
    pub(crate) percent: u8,
}

impl GovernedState for Flag {
    const TYPE: &'static str = "flags.flag";

    fn absent() -> Option<Self> {
        Some(Self::default())
    }
}

/// Turns a flag on for a share of the users.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct SetFlag {
    pub(crate) percent: u8,
}

/// What the first release of this program had: on or off.
#[derive(Deserialize)]
struct SetFlagV1 {
    on: bool,
}

impl Mutation for SetFlag {
    type State = Flag;
    const TYPE: &'static str = "flags.set";
    const SCHEMA: u32 = 2;

    fn intent(&self) -> Result<Intent, InvalidName> {
        let words = format!("on for {} of 100", self.percent);
        Ok(Intent::new("flag.set", "flags")?.described(words))
    }

    fn validate(&self, flag: &Flag) -> Result<(), ValidationErrors> {
        let percent =
            |holds, code: &str, words: &str| ValidationErrors::check(holds, "percent", code, words);
        ValidationErrors::all([
            percent(self.percent <= 100, "out_of_range", "it is 0 to 100"),
            percent(
                self.percent != flag.percent,
                "unchanged",
                "it is so already",
            ),
        ])
    }

    fn apply(self, flag: Flag) -> Result<Applied<Flag>, MutationError> {
        let change = Change::modified("percent", flag.percent, self.percent);
        let percent = self.percent;
        Ok(Applied::new(Flag { percent }).change(change))
    }

    fn upgrade(schema: u32, body: &[u8]) -> Result<Self, UpgradeError> {
        if schema != 1 {
            return Err(UpgradeError::Unknown { schema });
        }
        let old: SetFlagV1 = Payload::decode_body(body)?;
        let percent = if old.on { 100 } else { 0 };
        Ok(Self { percent })
    }
}

/// Nobody has to approve what is changed in `dev`, one release manager what is changed in
/// `staging`, two in `production`.
pub(crate) fn by_environment(subject: &PolicySubject<'_>) -> Result<PolicyDecision, PolicyFault> {
    let id = subject.scope().state_id.as_str();
    let seats = match id.split_once('/') {
        Some(("dev", _)) => return Ok(PolicyDecision::allow()),
        Some(("staging", _)) => 1,
        Some(("production", _)) => 2,
        _ => {
            let words = "there are dev, staging and production";
            return Ok(PolicyDecision::deny("environment.unknown", words)?);
        }
    };
    let managers = Selector::role(Role::new("release-manager")?);
    let seats = Requirement::seats("release-managers", seats, managers)?;
    Ok(PolicyDecision::require(ApprovalRules::new([seats])?))
}
