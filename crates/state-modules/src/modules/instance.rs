//! The base: a client and its key prefix.

use std::sync::Arc;

use futures_util::FutureExt as _;
use redis_client::{Client, InstanceName, KeyPrefix};
use state_core::{MonotonicClock, NoObserver, Observer};

use crate::{
    backend::Backend,
    error::{BoxError, ResolveError},
    module::{Module, Provided, Scope},
    token::{NamedTokens, Token},
};

/// What capabilities of an instance are built on.
#[derive(Debug, Clone)]
pub(crate) struct Base {
    pub(super) on: On,
    pub(super) observer: Arc<dyn Observer>,
}

#[derive(Debug, Clone)]
pub(super) enum On {
    Redis(Arc<Client>),
    Memory(MonotonicClock),
}

/// Who is told what an instance does.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct Observers {
    /// Told of every operation of a capability.
    pub capabilities: Arc<dyn Observer>,
    /// Told of every command, where there is Redis.
    pub client: Arc<dyn redis_client::Observer>,
}

impl Observers {
    /// The same, with somebody who is told of every operation of a capability.
    #[must_use]
    pub fn capabilities(mut self, observer: impl Observer) -> Self {
        self.capabilities = Arc::new(observer);
        self
    }

    /// The same, with somebody who is told of every command.
    #[must_use]
    pub fn client(mut self, observer: impl redis_client::Observer) -> Self {
        self.client = Arc::new(observer);
        self
    }
}

impl Default for Observers {
    fn default() -> Self {
        Self {
            capabilities: Arc::new(NoObserver),
            client: Arc::new(redis_client::NoObserver),
        }
    }
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
    instance_observed(tokens, backend, Observers::default())
}

/// [`instance`] with somebody who is told what it and its capabilities do.
#[must_use]
pub fn instance_observed(tokens: &NamedTokens, backend: Backend, observers: Observers) -> Module {
    let Observers {
        capabilities: observer,
        client: commands,
    } = observers;
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
                    let (config, commands) = (config.clone(), Arc::clone(&commands));
                    async move { connect(*config, commands).await }
                })
                .provides(prefix, move |_| {
                    let prefix = key_prefix.clone();
                    async move { Ok(Provided::new(prefix)) }
                })
                .provides(&base, move |scope: Scope| {
                    let (client, observer) = (own_client.clone(), Arc::clone(&observer));
                    async move {
                        let on = On::Redis(scope.get(&client).await?);
                        Ok(Provided::new(Base { on, observer }))
                    }
                })
        }
        Backend::Memory => module
            .provides(client, |_| async {
                Err::<Provided<Client>, BoxError>(Box::new(NoClient))
            })
            .provides(prefix, |_| async {
                Ok(Provided::new(KeyPrefix::default()))
            })
            .provides(&base, move |_| {
                let observer = Arc::clone(&observer);
                async move {
                    let on = On::Memory(MonotonicClock::new());
                    Ok(Provided::new(Base { on, observer }))
                }
            }),
    }
}

async fn connect(
    config: redis_client::Config,
    observer: Arc<dyn redis_client::Observer>,
) -> Result<Provided<Client>, BoxError> {
    // Boxed: it would be deep inside the type of the caller's future otherwise.
    let client = Client::connect_observed(config, observer).boxed().await?;
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
