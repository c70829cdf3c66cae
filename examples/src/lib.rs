//! Runnable scenarios, each on any provider.
//!
//! Every binary of this package tells one story and says what it shows; read it from the top. What
//! they share is here: the command line ([`cli`]) and the choice of a provider ([`provider`]), the parts every scenario starts from
//! ([`Scene`]), a directory of people ([`People`]), a clock and ids that make every run the same
//! ([`fixed`]), and the printing ([`Story`]). Programs about caches choose a [`backend`] instead of a
//! provider. Services wait for their end by [`stop`].

pub mod backend;
pub mod cli;
mod failure;
pub mod fixed;
mod people;
pub mod provider;
mod report;
mod scene;
mod stop;
mod story;

pub use cli::run;
pub use failure::{tell, words_of};
pub use people::People;
pub use report::{line_of, state_of};
pub use scene::Scene;
pub use stop::stop;
pub use story::Story;
