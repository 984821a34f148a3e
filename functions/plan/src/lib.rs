//! The plan handler.
