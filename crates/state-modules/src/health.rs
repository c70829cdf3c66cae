//! Whether an instance serves what is kept on it.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use redis_client::{Client, HealthReport, Status, WarningKind};
use state_core::{
    Capability,
    cache::{self, CacheOptions},
    rate_limit::{self, LimiterOptions},
    session::{self, SessionOptions},
};

/// A capability in use, and whether it goes on while Redis is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InUse {
    capability: Capability,
    goes_on: bool,
}

impl InUse {
    /// The capability.
    #[must_use]
    pub const fn capability(&self) -> Capability {
        self.capability
    }

    /// Whether it goes on while Redis is away, so that it is degraded where others are down.
    #[must_use]
    pub const fn goes_on(&self) -> bool {
        self.goes_on
    }
}

impl From<Capability> for InUse {
    /// As it is unless its options say otherwise.
    fn from(capability: Capability) -> Self {
        let goes_on = matches!(
            capability,
            Capability::Cache | Capability::RateLimit | Capability::Event
        );
        Self {
            capability,
            goes_on,
        }
    }
}

impl From<&CacheOptions> for InUse {
    fn from(options: &CacheOptions) -> Self {
        Self {
            capability: Capability::Cache,
            goes_on: options.on_error != cache::OnError::Error,
        }
    }
}

impl From<&LimiterOptions> for InUse {
    fn from(options: &LimiterOptions) -> Self {
        Self {
            capability: Capability::RateLimit,
            goes_on: !matches!(options.on_error, rate_limit::OnError::Closed { .. }),
        }
    }
}

impl From<&SessionOptions> for InUse {
    fn from(options: &SessionOptions) -> Self {
        Self {
            capability: Capability::Session,
            goes_on: options.on_error == session::OnError::OpenAnonymous,
        }
    }
}

/// What the health of a capability comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CapabilityHealth {
    /// The capability.
    pub capability: Capability,
    /// How well it is served.
    pub status: Status,
}

/// Whether an instance is ready.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct Readiness {
    /// The worst of its capabilities.
    pub status: Status,
    /// How long Redis took to answer. `None` when it did not, and in memory.
    pub latency: Option<Duration>,
    /// Each capability in use.
    pub capabilities: Vec<CapabilityHealth>,
    /// Codes of what is worth a look. Never a key, an address or a secret.
    pub warnings: Vec<&'static str>,
}

/// The health of an instance.
#[derive(Debug, Clone)]
pub struct Health {
    client: Option<Arc<Client>>,
    in_use: Vec<InUse>,
}

impl Health {
    /// The health of an instance on Redis, or in memory without a client.
    #[must_use]
    pub fn new(
        client: Option<Arc<Client>>,
        in_use: impl IntoIterator<Item = impl Into<InUse>>,
    ) -> Self {
        Self {
            client,
            in_use: in_use.into_iter().map(Into::into).collect(),
        }
    }

    /// Whether the process lives. Never asks Redis: a server that is away is no reason to start
    /// the process anew.
    #[must_use]
    pub const fn liveness(&self) -> Status {
        Status::Up
    }

    /// Whether the instance serves each capability in use. Bounded by the health timeout of the
    /// client; asked several times at once, it asks the server once.
    ///
    /// # Cancel safety
    ///
    /// Changes nothing.
    pub async fn readiness(&self) -> Readiness {
        let Some(client) = &self.client else {
            let codes = vec!["health.in_memory_single_process"];
            return self.judge(Status::Up, None, &[], codes);
        };
        // Boxed: a caller's future would otherwise hold all of the client's inside its own type,
        // deeper than the compiler follows.
        let report = client.health().boxed().await;
        let kinds = kinds(&report);
        let codes = kinds.iter().map(|kind| kind.code()).collect();
        self.judge(report.status(), report.latency(), &kinds, codes)
    }

    fn judge(
        &self,
        server: Status,
        latency: Option<Duration>,
        warnings: &[WarningKind],
        codes: Vec<&'static str>,
    ) -> Readiness {
        let capabilities: Vec<_> = self
            .in_use
            .iter()
            .map(|in_use| CapabilityHealth {
                capability: in_use.capability,
                status: judge(*in_use, server, warnings),
            })
            .collect();
        let worst = capabilities.iter().map(|health| health.status).max();
        Readiness {
            status: worst.unwrap_or(server),
            latency,
            capabilities,
            warnings: codes,
        }
    }
}

fn kinds(report: &HealthReport) -> Vec<WarningKind> {
    let mut kinds: Vec<_> = report
        .warnings()
        .iter()
        .map(|warning| warning.kind())
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

/// How well a capability is served by servers that stand like this.
fn judge(in_use: InUse, server: Status, warnings: &[WarningKind]) -> Status {
    let capability = in_use.capability;
    if server == Status::Down {
        return if in_use.goes_on {
            Status::Degraded
        } else {
            Status::Down
        };
    }
    let loses_by_eviction = matches!(
        capability,
        Capability::Session | Capability::Lock | Capability::Leader | Capability::Process
    );
    let needs_persistence = capability == Capability::Process;
    let is_wrong = |kind: &WarningKind| match kind {
        WarningKind::Evicting => loses_by_eviction,
        WarningKind::NotPersistent => needs_persistence,
        _ => false,
    };
    if warnings.iter().any(is_wrong) {
        Status::Degraded
    } else {
        server
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_without_redis_is_degraded_and_the_rest_is_down() {
        for (capability, status) in [
            (Capability::Cache, Status::Degraded),
            (Capability::RateLimit, Status::Degraded),
            (Capability::Event, Status::Degraded),
            (Capability::Session, Status::Down),
            (Capability::Process, Status::Down),
            (Capability::Lock, Status::Down),
        ] {
            assert_eq!(
                judge(capability.into(), Status::Down, &[]),
                status,
                "{capability:?}"
            );
        }
    }

    #[test]
    fn t_he_2_eviction_and_persistence_are_judged_by_what_is_kept() {
        let evicting = [WarningKind::Evicting];
        assert_eq!(
            judge(Capability::Cache.into(), Status::Up, &evicting),
            Status::Up
        );
        assert_eq!(
            judge(Capability::Process.into(), Status::Up, &evicting),
            Status::Degraded
        );
        assert_eq!(
            judge(Capability::Session.into(), Status::Up, &evicting),
            Status::Degraded
        );
        let volatile = [WarningKind::NotPersistent];
        assert_eq!(
            judge(Capability::Lock.into(), Status::Up, &volatile),
            Status::Up
        );
        assert_eq!(
            judge(Capability::Process.into(), Status::Up, &volatile),
            Status::Degraded
        );
    }
}
