//! Sessions of requests, from cookie to cookie.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cookies;
mod failures;
mod logins;
mod redis;
mod rig;
mod values;
