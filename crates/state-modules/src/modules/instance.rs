//! The base: a client and its key prefix.

use std::sync::Arc;

use redis_client::{Client, InstanceName, KeyPrefix};
use state_core::MonotonicClock;

use crate::{
    backend::Backend,
    error::{BoxError, ResolveError},
    module::{Module, Provided, Scope},
    token::{NamedTokens, Token},
};

/// What capabilities of an instance are built on. It is not exported: they ask for it through
/// [`Base`].
#[derive(Debug, Clone)]
pub(crate) enum Base {
    Redis(Arc<Client>),
    Memory(MonotonicClock),
}

/// Asked for a client where there is no Redis.
#[derive(Debug, thiserror::Error)]
#[error("the instance is kept in memory and has no client")]
struct NoClient;

pub(super) fn module_name(instance: &InstanceName) -> String {
    instance.token("instance")
}

pub(super) fn base_token(instance: &InstanceName) -> Token<Base> {
    Token::new(&instance.token("base"))
}

/// The module of an instance. It exports the client and the key prefix.
///
/// Nothing connects before something is asked for, and then only if the configuration asks for a
/// ping; without one, a wrong address shows at the first use.
#[must_use]
pub fn instance(tokens: &NamedTokens, backend: Backend) -> Module {
    let (client, prefix) = (&tokens.client, &tokens.key_prefix);
    let base = base_token(&tokens.instance);
    let module = Module::new(module_name(&tokens.instance))
        .exports(client)
        .exports(prefix)
        .exports(&base);
    match backend {
        Backend::Redis(config) => {
            let own_client = client.clone();
            let key_prefix = config.key_prefix().clone();
            module
                .provides(client, move |_| {
                    let config = config.clone();
                    async move { connect(*config).await }
                })
                .provides(prefix, move |_| {
                    let prefix = key_prefix.clone();
                    async move { Ok(Provided::new(prefix)) }
                })
                .provides(&base, move |scope: Scope| {
                    let client = own_client.clone();
                    async move { Ok(Provided::new(Base::Redis(scope.get(&client).await?))) }
                })
        }
        Backend::Memory => module
            .provides(client, |_| async {
                Err::<Provided<Client>, BoxError>(Box::new(NoClient))
            })
            .provides(prefix, |_| async {
                Ok(Provided::new(KeyPrefix::default()))
            })
            .provides(&base, |_| async {
                Ok(Provided::new(Base::Memory(MonotonicClock::new())))
            }),
    }
}

async fn connect(config: redis_client::Config) -> Result<Provided<Client>, BoxError> {
    let client = Client::connect(config).await?;
    let closing = client.clone();
    Ok(Provided::closed_by(client, || async move {
        closing.close().await.map_err(Into::into)
    }))
}

/// The base of a scope's instance.
pub(super) async fn base(
    scope: &Scope,
    instance: &InstanceName,
) -> Result<Arc<Base>, ResolveError> {
    scope.get(&base_token(instance)).await
}
