//! The intake handler.
