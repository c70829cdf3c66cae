//! How records are written: the frame around a request, the envelope around its document, and the
//! record of a state.

mod document;
mod event;
mod frame;
#[cfg(test)]
pub(crate) mod golden;
mod index;
mod names;
mod number;
mod packed;
mod state;
mod v1;

pub use document::NewerVersion;
#[cfg(test)]
pub(crate) use document::Upcaster;
pub(crate) use document::{DocumentError, Schemas, decode_document, encode_document};
pub(crate) use event::Event;
pub(crate) use frame::{
    BLOCK, Frame, FrameError, Head, block_of, encode_frame, is_whole, plain_length,
};
pub(crate) use number::{read_number, write_number};
#[cfg(test)]
pub(crate) use packed::unpack;
pub(crate) use state::{StateRecord, decode_state, encode_state, state_slot};
