//! What users are promised, through the program as they start it.

mod bad_inputs;
mod big;
mod card_changes;
mod delivery;
mod kills;
mod serving;
mod throttles;
