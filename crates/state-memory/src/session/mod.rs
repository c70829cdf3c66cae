//! Who is calling: sessions.
