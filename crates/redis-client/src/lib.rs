#![doc = include_str!("../README.md")]

mod access;
mod build;
mod client;
mod config;
mod connect;
mod connection;
mod dispatch;
mod error;
mod exclusive;
mod health;
mod key;
mod life;
mod observe;
mod operation;
mod script;
#[cfg(test)]
mod secrets;
mod signal;
mod trace;

pub use access::Access;
pub use build::{BuildError, Stage};
pub use client::Client;
pub use config::{
    Address, Config, ConfigBuilder, ConfigError, ConfigProblem, InstanceName, InvalidName,
    NotUnicode, Problem, Protocol, Recycle, SETTINGS, Secret, Setting, Tls, Topology, duration,
};
pub use connect::PoolStatus;
pub use connection::Connection;
pub use error::{ClientError, DriverError, ErrorKind, Outcome, Retry};
pub use exclusive::{Exclusive, Replicated};
pub use health::{
    AppendFsync, HealthReport, Persistence, ReplicaFacts, Role, ServerFacts, ServerHealth, Status,
    Version, Warning, WarningKind,
};
pub use key::{
    InvalidPrefix, Key, KeyBuilder, KeyPrefix, KeyTooLong, SLOTS, TaggedKeyBuilder, slot,
};
pub use life::{CloseError, CloseErrors, State};
#[cfg(feature = "metrics")]
pub use observe::MetricsObserver;
pub use observe::{CommandEvent, NoObserver, Observer};
pub use operation::Operation;
/// The driver: commands, values and the traits to read answers.
pub use redis;
pub use script::{InvalidScript, Script, ScriptCall};
pub use signal::Signal;
