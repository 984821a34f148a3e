//! The stage handler.
