//! Modules put together.

use std::{any::type_name, collections::HashMap, fmt, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{sync::OnceCell, time::timeout};

use crate::{
    close::{CloseErrors, Ending, after},
    error::{ResolveError, WiringError},
    module::{AnyArc, BuildFuture, Module, Provider, Scope},
    token::Token,
};

/// Collects modules.
#[derive(Debug, Default)]
#[must_use = "a builder builds nothing before it is asked to"]
pub struct RootBuilder {
    modules: Vec<Module>,
}

impl RootBuilder {
    /// Adds a module.
    pub fn module(mut self, module: Module) -> Self {
        self.modules.push(module);
        self
    }

    /// Checks that everything fits together. Builds nothing yet.
    ///
    /// # Errors
    ///
    /// [`WiringError`] with the first thing that does not fit.
    pub fn build(self) -> Result<Root, WiringError> {
        let mut modules: HashMap<&str, usize> = HashMap::new();
        for (index, module) in self.modules.iter().enumerate() {
            if modules.insert(&module.name, index).is_some() {
                let module = module.name.clone();
                return Err(WiringError::DuplicateModule { module });
            }
        }
        let mut owners: HashMap<String, (usize, usize)> = HashMap::new();
        for (index, module) in self.modules.iter().enumerate() {
            for (place, provider) in module.providers.iter().enumerate() {
                let owner = owners.insert(provider.token.clone(), (index, place));
                if let Some((first, _)) = owner {
                    return Err(WiringError::DuplicateToken {
                        token: provider.token.clone(),
                        first: self.modules[first].name.clone(),
                        second: module.name.clone(),
                    });
                }
            }
            let is_own =
                |token: &&String| owners.get(*token).is_some_and(|(owner, _)| *owner == index);
            if let Some(token) = module.exports.iter().find(|token| !is_own(token)) {
                return Err(WiringError::UnknownExport {
                    module: module.name.clone(),
                    token: token.clone(),
                });
            }
        }
        let mut imports = Vec::with_capacity(self.modules.len());
        for module in &self.modules {
            let mut indices = Vec::new();
            for import in &module.imports {
                let Some(index) = modules.get(import.as_str()) else {
                    return Err(WiringError::UnknownImport {
                        module: module.name.clone(),
                        import: import.clone(),
                    });
                };
                indices.push(*index);
            }
            imports.push(indices);
        }
        let names: Vec<_> = self
            .modules
            .iter()
            .map(|module| module.name.clone())
            .collect();
        check_circles(&names, &imports)?;
        let parts = self
            .modules
            .into_iter()
            .zip(imports)
            .map(|(module, imports)| Part {
                name: module.name,
                imports,
                exports: module.exports,
                slots: module.providers.into_iter().map(Slot::new).collect(),
            });
        Ok(Root(Arc::new(Inner {
            parts: parts.collect(),
            owners,
            building: tokio::sync::Mutex::new(()),
            being_built: Mutex::default(),
            ending: Ending::default(),
        })))
    }
}

fn check_circles(names: &[String], imports: &[Vec<usize>]) -> Result<(), WiringError> {
    fn visit(
        at: usize,
        imports: &[Vec<usize>],
        path: &mut Vec<usize>,
        done: &mut [bool],
    ) -> Option<Vec<usize>> {
        if let Some(start) = path.iter().position(|on| *on == at) {
            let mut circle = path[start..].to_vec();
            circle.push(at);
            return Some(circle);
        }
        if std::mem::replace(&mut done[at], true) {
            return None;
        }
        path.push(at);
        let circle = imports[at]
            .iter()
            .find_map(|next| visit(*next, imports, path, done));
        path.pop();
        circle
    }
    let mut done = vec![false; names.len()];
    for start in 0..names.len() {
        if let Some(circle) = visit(start, imports, &mut Vec::new(), &mut done) {
            let circle = circle
                .into_iter()
                .map(|index| names[index].clone())
                .collect();
            return Err(WiringError::ImportCycle { circle });
        }
    }
    Ok(())
}

/// Modules put together. A clone is a handle to the same.
#[derive(Clone)]
pub struct Root(Arc<Inner>);

pub(crate) struct Inner {
    parts: Vec<Part>,
    /// Module and place of the provider of a token.
    owners: HashMap<String, (usize, usize)>,
    /// Things are built one after the other, so that no two of them wait for each other.
    building: tokio::sync::Mutex<()>,
    /// What is being built, or was the last.
    being_built: Mutex<String>,
    ending: Ending,
}

struct Part {
    name: String,
    imports: Vec<usize>,
    exports: Vec<String>,
    slots: Vec<Slot>,
}

struct Slot {
    provider: Provider,
    value: OnceCell<AnyArc>,
}

impl Slot {
    fn new(provider: Provider) -> Self {
        Self {
            provider,
            value: OnceCell::new(),
        }
    }
}

impl Root {
    /// No modules yet.
    pub fn builder() -> RootBuilder {
        RootBuilder::default()
    }

    /// Resolves an exported token. What it stands for is built when it is first asked for, once,
    /// whoever asks at the same time.
    ///
    /// # Errors
    ///
    /// [`ResolveError`]. What could not be built is tried again by the next call.
    ///
    /// # Cancel safety
    ///
    /// What was being built is built anew when it is asked for again; what was built for it stays
    /// and is closed in the end.
    pub async fn get<T: Send + Sync + 'static>(
        &self,
        token: &Token<T>,
    ) -> Result<Arc<T>, ResolveError> {
        self.0.resolve(token, None).await
    }

    /// Closes what was built, the last first. All of it, even if some of it fails, panics or takes
    /// longer than its share of the time: that goes on beside the others then. Nothing is built
    /// from now on. What is being built is waited for half of the time; what comes of it later is
    /// closed by who built it.
    ///
    /// # Errors
    ///
    /// [`CloseErrors`] with everything that failed, also what failed in a call before that was
    /// broken off.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the next call goes on where this one stopped. A call after the
    /// last step does nothing and succeeds.
    pub async fn close(&self, time: Duration) -> Result<(), CloseErrors> {
        let (inner, until) = (&self.0, after(time));
        inner.ending.begin();
        // What is being built now is closed, too.
        let building = timeout(time / 2, inner.building.lock()).await;
        if building.is_err() {
            let token = inner.being_built.lock().clone();
            inner.ending.missed(token).await;
        }
        drop(building);
        inner.ending.run(until).await
    }
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let modules: Vec<_> = self.0.parts.iter().map(|part| &part.name).collect();
        f.debug_struct("Root")
            .field("modules", &modules)
            .finish_non_exhaustive()
    }
}

impl Inner {
    pub(crate) async fn resolve<T: Send + Sync + 'static>(
        self: &Arc<Self>,
        token: &Token<T>,
        asker: Option<&Scope>,
    ) -> Result<Arc<T>, ResolveError> {
        let name = token.name();
        let Some((owner, place)) = self.owners.get(name).copied() else {
            return Err(ResolveError::Unknown {
                token: name.to_owned(),
            });
        };
        self.check_visible(name, owner, asker)?;
        let slot = &self.parts[owner].slots[place];
        let wrong = || ResolveError::WrongType {
            token: name.to_owned(),
            provided: slot.provider.kind,
            wanted: type_name::<T>(),
        };
        // Before anything is built for a caller who could not use it.
        if slot.provider.kind != type_name::<T>() {
            return Err(wrong());
        }
        let value = self.value(slot, name, owner, asker).await?;
        value.downcast::<T>().map_err(|_| wrong())
    }

    fn check_visible(
        &self,
        token: &str,
        owner: usize,
        asker: Option<&Scope>,
    ) -> Result<(), ResolveError> {
        let is_exported = self.parts[owner]
            .exports
            .iter()
            .any(|export| export == token);
        let visible = match asker {
            None => is_exported,
            Some(scope) => {
                let imports = &self.parts[scope.module].imports;
                owner == scope.module || (is_exported && imports.contains(&owner))
            }
        };
        if visible {
            return Ok(());
        }
        let module = asker.map_or("the application", |scope| &self.parts[scope.module].name);
        Err(ResolveError::NotVisible {
            token: token.to_owned(),
            module: module.to_owned(),
        })
    }

    async fn value(
        self: &Arc<Self>,
        slot: &Slot,
        token: &str,
        owner: usize,
        asker: Option<&Scope>,
    ) -> Result<AnyArc, ResolveError> {
        let closed = || ResolveError::Closed {
            token: token.to_owned(),
        };
        if self.ending.has_begun() {
            return Err(closed());
        }
        if let Some(value) = slot.value.get() {
            return Ok(Arc::clone(value));
        }
        let mut path = asker.map(|scope| scope.path.clone()).unwrap_or_default();
        if let Some(start) = path.iter().position(|on| on == token) {
            let mut circle = path.split_off(start);
            circle.push(token.to_owned());
            return Err(ResolveError::Cycle { circle });
        }
        path.push(token.to_owned());
        // Whoever asks while building holds the lock already.
        let _building = match asker {
            None => Some(self.building.lock().await),
            Some(_) => None,
        };
        if self.ending.has_begun() {
            return Err(closed());
        }
        if asker.is_none() {
            token.clone_into(&mut self.being_built.lock());
        }
        let scope = Scope {
            root: Arc::clone(self),
            module: owner,
            path,
        };
        let build = || async {
            let built: BuildFuture = (slot.provider.build)(scope);
            let provided = built.await.map_err(|source| ResolveError::Build {
                token: token.to_owned(),
                source,
            })?;
            if let Some(step) = provided.close {
                self.ending.add(token, step);
            }
            if self.ending.is_over().await {
                return Err(closed());
            }
            Ok(provided.value)
        };
        slot.value.get_or_try_init(build).await.map(Arc::clone)
    }
}
