//! Queries: which requests, in which order, page by page.

mod count;
mod filter;
mod page;
mod request_query;

pub use count::Count;
pub use filter::{Condition, Filter, FilterError, Person, SideEffectFilter, TimeRange};
pub use page::{Cursor, Order, Page, PageError, PageRequest, Undecodable};
pub use request_query::RequestQuery;
