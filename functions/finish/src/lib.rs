//! The finish handler.
