//! What happened, for everybody who listens: events.
