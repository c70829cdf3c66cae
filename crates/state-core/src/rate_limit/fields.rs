//! What a server tells its clients: the `RateLimit` fields of
//! draft-ietf-httpapi-ratelimit-headers, and `Retry-After` of RFC 9110.

use std::time::Duration;

use crate::rate_limit::{Decision, Outcome, Rule};

/// The values of the fields of one response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimitFields {
    /// `RateLimit-Policy`: every rule with its quota and window.
    pub policy: String,
    /// `RateLimit`: how the rule that decided stands.
    pub state: String,
    /// `Retry-After`: whole seconds, at least one; only for a denied call.
    pub retry_after: Option<String>,
}

impl RateLimitFields {
    /// The fields for a decision under these rules.
    #[must_use]
    pub fn new(rules: &[&Rule], decision: &Decision) -> Self {
        let policies: Vec<_> = rules.iter().map(|rule| policy(rule)).collect();
        let name = rules.get(decision.rule).map_or("", |rule| rule.name());
        Self {
            policy: policies.join(", "),
            state: format!(
                "\"{name}\";r={};t={}",
                decision.remaining,
                seconds(decision.reset_after)
            ),
            retry_after: (decision.outcome == Outcome::Denied)
                .then(|| seconds(decision.retry_after).max(1).to_string()),
        }
    }
}

fn policy(rule: &Rule) -> String {
    let limit = rule.limit();
    format!(
        "\"{}\";q={};w={}",
        rule.name(),
        limit.quantity(),
        seconds(limit.period()).max(1)
    )
}

/// Rounded up: nobody comes back too early.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate_limit::{Limit, Source};

    #[test]
    fn n_rl_8_fields_say_what_was_decided() {
        let limit = |quantity, seconds| Limit::new(quantity, Duration::from_secs(seconds)).unwrap();
        let rules = [
            Rule::new("burst", limit(10, 1)).unwrap(),
            Rule::new("day", limit(1_000, 86_400)).unwrap(),
        ];
        let mut decision = Decision {
            outcome: Outcome::Denied,
            limit: 10,
            remaining: 3,
            retry_after: Duration::from_millis(20),
            reset_after: Duration::from_millis(1_001),
            source: Source::Backend,
            rule: 1,
        };
        let fields = RateLimitFields::new(&[&rules[0], &rules[1]], &decision);
        assert_eq!(fields.policy, r#""burst";q=10;w=1, "day";q=1000;w=86400"#);
        assert_eq!(fields.state, r#""day";r=3;t=2"#);
        assert_eq!(fields.retry_after.as_deref(), Some("1"));
        decision.outcome = Outcome::Allowed;
        let fields = RateLimitFields::new(&[&rules[0], &rules[1]], &decision);
        assert_eq!(fields.retry_after, None);
    }
}
