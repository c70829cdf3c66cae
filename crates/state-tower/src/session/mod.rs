//! Sessions of requests.

mod cookie;
mod error;
mod held;
mod layer;
mod request;

pub use self::cookie::{InvalidCookie, SameSite, SessionCookie};
pub use error::RequestSessionError;
pub use layer::{SessionLayer, SessionService};
pub use request::RequestSession;
