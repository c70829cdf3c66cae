//! The ports, one file each.

mod clock;
mod commit;
mod feed;
mod queries;
mod requests;
mod states;
mod write;
