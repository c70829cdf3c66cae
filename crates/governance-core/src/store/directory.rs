//! Who holds which role.

use std::{collections::BTreeSet, error::Error, fmt, sync::Arc};

use async_trait::async_trait;

use crate::{
    approval::{Membership, Selector},
    ids::{ActorId, TenantId},
};

/// A port of the application that could not answer.
#[derive(Debug, thiserror::Error)]
#[error("the {port} could not answer: {detail}")]
pub struct PortError {
    port: &'static str,
    detail: String,
    #[source]
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl PortError {
    /// A port that could not answer, and why. The text is shown: keep secrets out of it.
    #[must_use]
    pub fn new(port: &'static str, detail: impl Into<String>) -> Self {
        Self {
            port,
            detail: detail.into(),
            source: None,
        }
    }

    /// Adds the cause.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "port.unavailable"
    }
}

/// The people a selector describes, as far as a directory can tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Members {
    /// All of them.
    Listed(BTreeSet<ActorId>),
    /// The directory cannot list them, or they are too many.
    Unlisted,
}

/// Knows who is who: which roles an actor holds and which groups they are in.
///
/// Roles and groups count only when they come from here. The library asks at the moment of each
/// vote and keeps the answer with the vote.
///
/// # Cancel safety
///
/// Every method reads only.
#[async_trait]
pub trait Directory: fmt::Debug + Send + Sync {
    /// Roles, groups and principals of an actor. An actor nobody knows has none.
    ///
    /// # Errors
    ///
    /// [`PortError`] when the directory cannot answer.
    async fn membership(&self, tenant: &TenantId, actor: &ActorId)
    -> Result<Membership, PortError>;

    /// The people one actor, role or group stands for.
    ///
    /// # Errors
    ///
    /// [`PortError`] when the directory cannot answer. Not being able to list people is an
    /// answer: [`Members::Unlisted`].
    async fn members(&self, tenant: &TenantId, leaf: &Selector) -> Result<Members, PortError>;
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<T: Directory + ?Sized> Directory for Arc<T> {
    async fn membership(
        &self,
        tenant: &TenantId,
        actor: &ActorId,
    ) -> Result<Membership, PortError> {
        (**self).membership(tenant, actor).await
    }

    async fn members(&self, tenant: &TenantId, leaf: &Selector) -> Result<Members, PortError> {
        (**self).members(tenant, leaf).await
    }
}

/// The directory of programs that name their approvers one by one: nobody holds a role or is in
/// a group.
#[derive(Debug, Clone, Copy, Default)]
pub struct NamedActorsOnly;

#[async_trait]
impl Directory for NamedActorsOnly {
    async fn membership(&self, _: &TenantId, _: &ActorId) -> Result<Membership, PortError> {
        Ok(Membership::default())
    }

    async fn members(&self, _: &TenantId, leaf: &Selector) -> Result<Members, PortError> {
        Ok(Members::Listed(match leaf {
            Selector::Actor(actor) => BTreeSet::from([actor.clone()]),
            Selector::Role(_) | Selector::Group(_) | Selector::AnyOf(_) | Selector::AllOf(_) => {
                BTreeSet::new()
            }
        }))
    }
}
