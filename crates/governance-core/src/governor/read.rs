//! Reading, within the tenant.

use std::sync::Arc;

use super::{Governor, GovernorError};
use crate::{
    ids::{ActorId, RequestId, StateId, StateVersion},
    mutation::GovernedState,
    query::{
        ApprovalQuery, ApprovalView, Count, DecisionQuery, DecisionView, Page, PageRequest,
        RequestQuery,
    },
    request::{MutationRequest, Scope, payload},
};

impl Governor {
    /// A request.
    ///
    /// # Errors
    ///
    /// [`GovernorError::NotFound`], [`GovernorError::Store`].
    ///
    /// # Cancel safety
    ///
    /// Reads only, like everything here.
    pub async fn get(&self, id: &RequestId) -> Result<Arc<MutationRequest>, GovernorError> {
        self.load(id).await
    }

    /// A query for the requests of this tenant, to be narrowed.
    #[must_use]
    pub fn query(&self) -> RequestQuery {
        RequestQuery::in_tenant(self.tenant.clone())
    }

    /// What an actor can decide right now, with the roles and groups the directory tells.
    ///
    /// # Errors
    ///
    /// [`GovernorError::Port`].
    pub async fn decidable_by(&self, actor: &ActorId) -> Result<RequestQuery, GovernorError> {
        let membership = self.parts.directory.membership(&self.tenant, actor).await?;
        Ok(self.query().decidable_by(actor.clone(), membership))
    }

    /// Requests.
    ///
    /// # Errors
    ///
    /// [`GovernorError::OtherTenant`] and [`GovernorError::AllTenants`],
    /// [`GovernorError::Filter`] for a query over the bounds, [`GovernorError::Page`] for a cursor
    /// of another query or one of no use any more, [`GovernorError::Store`].
    pub async fn requests(
        &self,
        query: &RequestQuery,
        page: &PageRequest,
    ) -> Result<Page<Arc<MutationRequest>>, GovernorError> {
        self.check_tenant(query)?;
        Ok(self.parts.store.requests(query, page).await?)
    }

    /// Approval requirements of requests.
    ///
    /// # Errors
    ///
    /// As [`Governor::requests`].
    pub async fn approvals(
        &self,
        query: &ApprovalQuery,
        page: &PageRequest,
    ) -> Result<Page<ApprovalView>, GovernorError> {
        self.check_tenant(query.requests())?;
        Ok(self.parts.store.approvals(query, page).await?)
    }

    /// Decisions of requests.
    ///
    /// # Errors
    ///
    /// As [`Governor::requests`].
    pub async fn decisions(
        &self,
        query: &DecisionQuery,
        page: &PageRequest,
    ) -> Result<Page<DecisionView>, GovernorError> {
        self.check_tenant(query.requests())?;
        Ok(self.parts.store.decisions(query, page).await?)
    }

    /// How many requests match.
    ///
    /// # Errors
    ///
    /// As [`Governor::requests`].
    pub async fn count(&self, query: &RequestQuery) -> Result<Count, GovernorError> {
        self.check_tenant(query)?;
        Ok(self.parts.store.count(query).await?)
    }

    /// A state and its version; `None` where there is none.
    ///
    /// # Errors
    ///
    /// [`GovernorError::Payload`] when it is not an `S`, [`GovernorError::Name`],
    /// [`GovernorError::Store`].
    pub async fn state<S: GovernedState>(
        &self,
        id: &StateId,
    ) -> Result<(Option<S>, StateVersion), GovernorError> {
        let scope = self.scope::<S>(id)?;
        let snapshot = self.parts.store.load(&scope).await?;
        let state = snapshot
            .body
            .as_ref()
            .map(|body| payload::decode(body))
            .transpose()
            .map_err(|source| GovernorError::Payload {
                what: "state",
                source,
            })?;
        Ok((state, snapshot.version))
    }

    /// Which state an id means.
    ///
    /// # Errors
    ///
    /// [`GovernorError::Name`] when the name of the state type is not valid.
    pub fn scope<S: GovernedState>(&self, id: &StateId) -> Result<Scope, GovernorError> {
        Ok(Scope {
            tenant: self.tenant.clone(),
            state_type: crate::ids::StateType::new(S::TYPE)?,
            state_id: id.clone(),
        })
    }

    fn check_tenant(&self, query: &RequestQuery) -> Result<(), GovernorError> {
        match query.tenant() {
            Some(tenant) if *tenant == self.tenant => Ok(()),
            Some(tenant) => Err(GovernorError::OtherTenant {
                asked: tenant.clone(),
            }),
            None => Err(GovernorError::AllTenants),
        }
    }
}
