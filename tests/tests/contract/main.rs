//! Every port's contract, for every adapter.

mod sqlite;
