//! Connections: how they are made, pooled, shared and found.

mod cluster;
mod lane;
mod manager;
mod node;
mod routes;
mod sentinel;
mod slots;

pub(crate) use lane::Job;
pub(crate) use manager::NodeManager;
pub(crate) use node::Node;
pub use node::PoolStatus;
pub(crate) use routes::{Detour, Routes};
