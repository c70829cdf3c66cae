#![doc = include_str!("../README.md")]

mod backend;
mod close;
mod env;
mod error;
mod health;
mod module;
pub mod modules;
mod root;
mod token;

pub use backend::{Backend, UnknownBackend};
pub use close::{CloseError, CloseErrors};
pub use env::{Environment, InvalidSetting, InvalidSettings, Settings};
pub use error::{BoxError, ResolveError, WiringError};
pub use health::{CapabilityHealth, Health, InUse, Readiness};
pub use module::{Module, Provided, Scope};
pub use root::{Root, RootBuilder};
pub use token::{NamedTokens, Token};
