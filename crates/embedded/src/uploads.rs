use std::sync::Arc;

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bedrock_diy_core::{
    Code, Failure,
    error::Result,
    ports::{UploadTicket, Uploads},
    time::Timestamp,
};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// Tickets for uploads to this process: signed with a key that it has drawn for itself, so that they end with it.
#[derive(Clone)]
pub struct LocalUploads {
    key: Arc<[u8; 32]>,
}

/// What a ticket allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// The key in the articles' bucket.
    pub key: String,
    /// The size of the file.
    pub bytes: u64,
    expires_at: Timestamp,
}

impl LocalUploads {
    /// The path before a ticket.
    pub const PATH: &str = "/uploads/";

    /// With a key of this randomness.
    #[must_use]
    pub fn new(randomness: [u8; 32]) -> Self {
        Self {
            key: Arc::new(randomness),
        }
    }

    /// What a ticket allows now. Fails with [`Code::InvalidRequest`] for one that was not given here, or is too old.
    pub fn redeem(&self, ticket: &str, now: Timestamp) -> Result<Upload> {
        let refused = || {
            Failure::new(
                Code::InvalidRequest,
                "the upload's ticket is not good, or too old",
            )
        };
        let (said, signature) = ticket.split_once('.').ok_or_else(refused)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| refused())?;
        self.signer(said)?
            .verify_slice(&signature)
            .map_err(|_| refused())?;
        let said = URL_SAFE_NO_PAD.decode(said).map_err(|_| refused())?;
        let upload: Upload = serde_json::from_slice(&said).map_err(|_| refused())?;
        if now >= upload.expires_at {
            return Err(refused());
        }
        Ok(upload)
    }

    fn signer(&self, said: &str) -> Result<Hmac<Sha256>> {
        let mut signer = Hmac::<Sha256>::new_from_slice(&*self.key).map_err(|error| {
            Failure::new(Code::InternalError, format!("no ticket can be signed: {error}"))
        })?;
        signer.update(said.as_bytes());
        Ok(signer)
    }
}

#[async_trait]
impl Uploads for LocalUploads {
    async fn ticket(
        &self,
        key: &str,
        bytes: u64,
        _: Timestamp,
        expires_at: Timestamp,
    ) -> Result<UploadTicket> {
        let upload = Upload {
            key: key.to_owned(),
            bytes,
            expires_at,
        };
        let said = serde_json::to_vec(&upload).map_err(|error| {
            Failure::new(Code::InternalError, format!("a ticket can't be written: {error}"))
        })?;
        let said = URL_SAFE_NO_PAD.encode(said);
        let signature = URL_SAFE_NO_PAD.encode(self.signer(&said)?.finalize().into_bytes());
        Ok(UploadTicket {
            url: format!("{}{said}.{signature}", Self::PATH),
            headers: Vec::new(),
            expires_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_ticket_is_good_for_what_it_says_and_until_then() {
        let uploads = LocalUploads::new([7; 32]);
        let (now, later) = (Timestamp::from_millis(1_000), Timestamp::from_millis(2_000));
        let ticket = uploads
            .ticket("inbox/news/monday/기사.pdf", 12, now, later)
            .await
            .unwrap();
        let ticket = ticket.url.strip_prefix(LocalUploads::PATH).unwrap();
        let upload = uploads.redeem(ticket, now).unwrap();
        assert_eq!(
            (upload.key.as_str(), upload.bytes),
            ("inbox/news/monday/기사.pdf", 12)
        );
        uploads.redeem(ticket, later).unwrap_err();
        LocalUploads::new([8; 32]).redeem(ticket, now).unwrap_err();
        for forged in [
            "",
            ".",
            &ticket[1..],
            &ticket[..ticket.len() - 1],
            &ticket.replace('.', ".."),
        ] {
            uploads.redeem(forged, now).unwrap_err();
        }
    }
}
