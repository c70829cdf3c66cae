//! Modules: what they provide, import and export.

use std::{
    any::{Any, type_name},
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
};

use crate::{
    error::{BoxError, ResolveError},
    root::Inner,
    token::Token,
};

pub(crate) type AnyArc = Arc<dyn Any + Send + Sync>;
pub(crate) type CloseFuture = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;
pub(crate) type CloseStep = Box<dyn FnOnce() -> CloseFuture + Send>;
type Build = Box<dyn Fn(Scope) -> BuildFuture + Send + Sync>;
pub(crate) type BuildFuture = Pin<Box<dyn Future<Output = Result<AnyProvided, BoxError>> + Send>>;

/// Something that was built, and how it ends.
#[must_use = "what was built must be handed over"]
pub struct Provided<T> {
    value: T,
    close: Option<CloseStep>,
}

impl<T> Provided<T> {
    /// Something that needs no end of its own.
    pub const fn new(value: T) -> Self {
        Self { value, close: None }
    }

    /// Something that ends by this step. The step is run once; when closing is broken off, it goes
    /// on where it stopped.
    pub fn closed_by<F, R>(value: T, step: F) -> Self
    where
        F: FnOnce() -> R + Send + 'static,
        R: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        Self {
            value,
            close: Some(Box::new(move || Box::pin(step()))),
        }
    }
}

impl<T> fmt::Debug for Provided<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provided")
            .field("type", &type_name::<T>())
            .field("closes", &self.close.is_some())
            .finish_non_exhaustive()
    }
}

pub(crate) struct AnyProvided {
    pub(crate) value: AnyArc,
    pub(crate) close: Option<CloseStep>,
}

pub(crate) struct Provider {
    pub(crate) token: String,
    pub(crate) kind: &'static str,
    pub(crate) build: Build,
}

/// A named part of an application.
pub struct Module {
    pub(crate) name: String,
    pub(crate) imports: Vec<String>,
    pub(crate) exports: Vec<String>,
    pub(crate) providers: Vec<Provider>,
}

impl Module {
    /// A module that provides nothing yet.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            imports: Vec::new(),
            exports: Vec::new(),
            providers: Vec::new(),
        }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Makes what another module exports visible to this one.
    #[must_use]
    pub fn imports(mut self, module: impl Into<String>) -> Self {
        self.imports.push(module.into());
        self
    }

    /// Makes something visible to the modules that import this one, and to the application.
    #[must_use]
    pub fn exports<T>(mut self, token: &Token<T>) -> Self {
        self.exports.push(token.name().to_owned());
        self
    }

    /// Says how something is built when it is first asked for.
    #[must_use]
    pub fn provides<T, F, R>(mut self, token: &Token<T>, build: F) -> Self
    where
        T: Send + Sync + 'static,
        F: Fn(Scope) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Provided<T>, BoxError>> + Send + 'static,
    {
        self.providers.push(Provider {
            token: token.name().to_owned(),
            kind: type_name::<T>(),
            build: Box::new(move |scope| {
                let built = build(scope);
                Box::pin(async move {
                    let Provided { value, close } = built.await?;
                    let value: AnyArc = Arc::new(value);
                    Ok(AnyProvided { value, close })
                })
            }),
        });
        self
    }
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let provides: Vec<_> = self
            .providers
            .iter()
            .map(|provider| &provider.token)
            .collect();
        f.debug_struct("Module")
            .field("name", &self.name)
            .field("imports", &self.imports)
            .field("provides", &provides)
            .field("exports", &self.exports)
            .finish()
    }
}

/// What a provider sees: its own module, and what the imported ones export.
#[derive(Clone)]
pub struct Scope {
    pub(crate) root: Arc<Inner>,
    pub(crate) module: usize,
    /// What is being built, the outermost first.
    pub(crate) path: Vec<String>,
}

impl Scope {
    /// Resolves a token.
    ///
    /// # Errors
    ///
    /// [`ResolveError`].
    ///
    /// # Cancel safety
    ///
    /// What was being built is built anew when it is asked for again.
    pub async fn get<T: Send + Sync + 'static>(
        &self,
        token: &Token<T>,
    ) -> Result<Arc<T>, ResolveError> {
        self.root.resolve(token, Some(self)).await
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
