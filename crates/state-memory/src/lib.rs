#![doc = include_str!("../README.md")]

pub mod cache;
pub mod event;
pub mod lock;
pub mod process;
pub mod rate_limit;
pub mod session;

mod cpu_clock;
mod faults;

pub use cpu_clock::CpuClock;
pub use faults::{Fault, Faults};
