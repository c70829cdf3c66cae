//! Approve, deny, withdraw.

use std::sync::Arc;

use super::{Governor, GovernorError};
use crate::{
    approval::Denial,
    context::{Context, Reason},
    ids::RequestId,
    request::MutationRequest,
    store::Operation,
};

impl Governor {
    /// Approves a request. Roles and groups are what the directory says at this moment.
    ///
    /// An approval that would leave too few people for another requirement is refused
    /// ([`VoteRefused::WouldStrand`](crate::VoteRefused::WouldStrand)): somebody else can take the
    /// seat. A directory that cannot list people cannot tell, and the approval is accepted.
    ///
    /// # Errors
    ///
    /// [`GovernorError::Request`] with the reason the vote does not count
    /// ([`VoteRefused`](crate::VoteRefused)) or because the request takes no votes;
    /// [`GovernorError::Reason`], [`GovernorError::Unauthorized`], [`GovernorError::NotFound`],
    /// [`GovernorError::Contended`], [`GovernorError::Unknown`], [`GovernorError::Store`].
    pub async fn approve(
        &self,
        id: &RequestId,
        by: impl Into<Context> + Send,
        reason: impl AsRef<str> + Send,
    ) -> Result<Arc<MutationRequest>, GovernorError> {
        let reason = Reason::new(reason)?;
        let request = self.load(id).await?;
        let scope = request.proposal().scope();
        let call = self
            .admit(by.into(), Operation::Approve, Some(scope), Some(&request))
            .await?;
        let speaks_for_others =
            !call.membership.acts_for.is_empty() || call.context.on_behalf_of.is_some();
        let rules = request.round().rules().clone();
        // As for a denial. Most rules leave nobody short, and nobody is listed for those.
        let candidates = if rules.may_strand(speaks_for_others) {
            self.candidates(&rules).await.unwrap_or_default()
        } else {
            None
        };
        self.change_as(&call, request, Operation::Approve, |draft, call| {
            let evidence = call.membership.clone();
            match &candidates {
                Some(candidates) if *draft.request().round().rules() == rules => {
                    draft.approve_among(evidence, reason.clone(), candidates)
                }
                _ => draft.approve(evidence, reason.clone()),
            }
        })
        .await
    }

    /// Denies a request. It is rejected when enough people deny, or when the people left could
    /// not fill the seats any more.
    ///
    /// # Errors
    ///
    /// As [`Governor::approve`].
    pub async fn reject(
        &self,
        id: &RequestId,
        by: impl Into<Context> + Send,
        denial: impl Into<Denial> + Send,
    ) -> Result<Arc<MutationRequest>, GovernorError> {
        let denial = denial.into();
        let reason = Reason::new(&denial.reason)?;
        let request = self.load(id).await?;
        let scope = request.proposal().scope();
        let call = self
            .admit(by.into(), Operation::Deny, Some(scope), Some(&request))
            .await?;
        // Asked before the vote is stored, so that both are one write. Who joins or leaves a
        // group in between is found by the next denial; a round that is renewed in between asks
        // for other people, so then nothing is concluded from these. A directory that cannot
        // list people must not keep anybody from denying.
        let rules = request.round().rules().clone();
        let candidates = self.candidates(&rules).await.unwrap_or_default();
        self.change_as(&call, request, Operation::Deny, |draft, call| {
            draft.deny(call.membership.clone(), reason.clone(), &denial)?;
            match &candidates {
                Some(candidates) if *draft.request().round().rules() == rules => {
                    draft.reject_if_unreachable(candidates).map(|_| ())
                }
                _ => Ok(()),
            }
        })
        .await
    }

    /// Takes back the actor's own vote on a request that still waits.
    ///
    /// # Errors
    ///
    /// As [`Governor::approve`].
    pub async fn withdraw(
        &self,
        id: &RequestId,
        by: impl Into<Context> + Send,
        reason: impl AsRef<str> + Send,
    ) -> Result<Arc<MutationRequest>, GovernorError> {
        let reason = Reason::new(reason)?;
        self.change(id, by.into(), Operation::Withdraw, |draft, _| {
            draft.withdraw(reason.clone())
        })
        .await
    }
}
