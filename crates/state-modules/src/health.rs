//! Whether an instance serves what is kept on it.

use std::sync::Arc;

use futures_util::FutureExt as _;
use redis_client::{Client, HealthReport, Status, WarningKind};
use state_core::Capability;

/// What the health of a capability comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CapabilityHealth {
    /// The capability.
    pub capability: Capability,
    /// How well it is served.
    pub status: Status,
}

/// Whether an instance is ready.
#[derive(Debug, Clone)]
pub struct Readiness {
    /// The worst of its capabilities.
    pub status: Status,
    /// Each capability in use.
    pub capabilities: Vec<CapabilityHealth>,
    /// Codes of what is worth a look. Never a key, an address or a secret.
    pub warnings: Vec<&'static str>,
}

/// The health of an instance.
#[derive(Debug, Clone)]
pub struct Health {
    client: Option<Arc<Client>>,
    capabilities: Vec<Capability>,
}

impl Health {
    /// The health of an instance on Redis, or in memory without a client.
    #[must_use]
    pub const fn new(client: Option<Arc<Client>>, capabilities: Vec<Capability>) -> Self {
        Self {
            client,
            capabilities,
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
            return self.judge(Status::Up, &[], vec!["health.in_memory_single_process"]);
        };
        // Boxed: a caller's future would otherwise hold all of the client's inside its own type,
        // deeper than the compiler follows.
        let report = client.health().boxed().await;
        let kinds = kinds(&report);
        let codes = kinds.iter().map(|kind| kind.code()).collect();
        self.judge(report.status(), &kinds, codes)
    }

    fn judge(
        &self,
        server: Status,
        warnings: &[WarningKind],
        codes: Vec<&'static str>,
    ) -> Readiness {
        let capabilities: Vec<_> = self
            .capabilities
            .iter()
            .map(|capability| CapabilityHealth {
                capability: *capability,
                status: judge(*capability, server, warnings),
            })
            .collect();
        let worst = capabilities.iter().map(|health| health.status).max();
        Readiness {
            status: worst.unwrap_or(server),
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
fn judge(capability: Capability, server: Status, warnings: &[WarningKind]) -> Status {
    // What goes on without Redis is degraded where others are down.
    let goes_on = matches!(
        capability,
        Capability::Cache | Capability::RateLimit | Capability::Event
    );
    if server == Status::Down {
        return if goes_on {
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
                judge(capability, Status::Down, &[]),
                status,
                "{capability:?}"
            );
        }
    }

    #[test]
    fn t_he_2_eviction_and_persistence_are_judged_by_what_is_kept() {
        let evicting = [WarningKind::Evicting];
        assert_eq!(judge(Capability::Cache, Status::Up, &evicting), Status::Up);
        assert_eq!(
            judge(Capability::Process, Status::Up, &evicting),
            Status::Degraded
        );
        assert_eq!(
            judge(Capability::Session, Status::Up, &evicting),
            Status::Degraded
        );
        let volatile = [WarningKind::NotPersistent];
        assert_eq!(judge(Capability::Lock, Status::Up, &volatile), Status::Up);
        assert_eq!(
            judge(Capability::Process, Status::Up, &volatile),
            Status::Degraded
        );
    }
}
