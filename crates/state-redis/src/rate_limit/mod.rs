//! So many per time: rate limits.
