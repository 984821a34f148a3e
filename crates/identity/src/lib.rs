//! Who a caller is: what a bearer token says, once it has been believed.
//!
//! | who vouches | for what |
//! | --- | --- |
//! | [`TokenFile`] | `bedrock-diy serve` on one machine, where nothing else is set up |
//! | [`Oidc`] | any OIDC issuer (OpenID Connect), Amazon Cognito among them |
//!
//! What the caller may then is a rule of the domain ([`bedrock_diy_core::access`]).
//!
//! No token, and nothing that it says, gets into a log or an error: both are read by more people than
//! the one it belongs to.

mod oidc;
pub mod private_file;
mod token_file;

pub use bedrock_diy_core::{access::Refused, ports::Identity};
pub use oidc::{Algorithm, Oidc, OidcConfig};
pub use token_file::{LOCAL, NewToken, TokenEntry, TokenFile, local_token};
