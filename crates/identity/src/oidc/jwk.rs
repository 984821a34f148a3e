//! An issuer's keys (RFC 7517), as far as tokens can be checked with them.

use std::{collections::HashMap, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;

use super::config::Algorithm;

/// What a token says about the key that it is signed with.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct KeyId {
    pub(super) algorithm: Algorithm,
    pub(super) kid: String,
}

/// A key that signatures are checked with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PublicKey {
    /// Modulus and exponent, big-endian, without leading zeros.
    Rsa { n: Vec<u8>, e: Vec<u8> },
    /// An uncompressed point on P-256.
    P256([u8; 65]),
}

impl PublicKey {
    /// Whether `signature` is this key's under `message`. The algorithm is the key's, whatever anybody
    /// says.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Rsa { n, e } => RsaPublicKeyComponents { n, e }
                .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
                .is_ok(),
            Self::P256(point) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                .verify(message, signature)
                .is_ok(),
        }
    }
}

/// A key set as an issuer publishes it. Each key is looked at by itself: one of a kind that nobody
/// knows yet must not spoil the others.
#[derive(Deserialize)]
pub(super) struct KeySet {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: String,
    #[serde(rename = "use")]
    usage: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// The keys that check signatures of these algorithms.
    pub(super) fn usable(self, algorithms: &[Algorithm]) -> HashMap<KeyId, Arc<PublicKey>> {
        let known = self.keys.into_iter().filter_map(|key| {
            let jwk: Jwk = serde_json::from_value(key).ok()?;
            let (algorithm, key) = jwk.public_key()?;
            let id = KeyId {
                algorithm,
                kid: jwk.kid,
            };
            algorithms.contains(&algorithm).then(|| (id, Arc::new(key)))
        });
        known.collect()
    }
}

impl Jwk {
    fn public_key(&self) -> Option<(Algorithm, PublicKey)> {
        let (algorithm, key) = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", None) => (Algorithm::Rs256, self.rsa()?),
            ("EC", Some("P-256")) => (Algorithm::Es256, self.p256()?),
            _ => return None,
        };
        let for_this = self.alg.as_deref().is_none_or(|alg| alg == algorithm.as_str());
        let for_signatures = self.usage.as_deref().is_none_or(|usage| usage == "sig");
        (for_this && for_signatures).then_some((algorithm, key))
    }

    fn rsa(&self) -> Option<PublicKey> {
        // Some issuers put a zero in front, which the standard forbids and the check refuses.
        let number = |text: &Option<String>| {
            let bytes = URL_SAFE_NO_PAD.decode(text.as_deref()?).ok()?;
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            Some(bytes[zeros..].to_vec())
        };
        Some(PublicKey::Rsa {
            n: number(&self.n)?,
            e: number(&self.e)?,
        })
    }

    fn p256(&self) -> Option<PublicKey> {
        let mut point = vec![4];
        for coordinate in [&self.x, &self.y] {
            let bytes = URL_SAFE_NO_PAD.decode(coordinate.as_deref()?).ok()?;
            if bytes.len() != 32 {
                return None;
            }
            point.extend(bytes);
        }
        Some(PublicKey::P256(point.try_into().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_for_other_uses_and_of_unknown_kinds_are_left_out() {
        let x = URL_SAFE_NO_PAD.encode([7; 32]);
        let set: KeySet = serde_json::from_value(json!({"keys": [
            {"kid": "rsa", "kty": "RSA", "use": "sig", "alg": "RS256", "n": "AL-_", "e": "AQAB"},
            {"kid": "bare", "kty": "RSA", "n": "v78", "e": "AQAB"},
            {"kid": "ec", "kty": "EC", "crv": "P-256", "x": x, "y": x},
            {"kid": "encrypts", "kty": "RSA", "use": "enc", "n": "v78", "e": "AQAB"},
            {"kid": "other-alg", "kty": "RSA", "alg": "PS256", "n": "v78", "e": "AQAB"},
            {"kid": "secret", "kty": "oct", "alg": "HS256", "k": "v78"},
            {"kid": "short", "kty": "EC", "crv": "P-256", "x": "v78", "y": x},
            {"kid": "curve", "kty": "EC", "crv": "P-384", "x": x, "y": x},
            {"kid": 1, "kty": ["strange"]},
            "stranger",
            {"kty": "RSA", "n": "v78", "e": "AQAB"},
        ]}))
        .unwrap();
        let usable = set.usable(&[Algorithm::Rs256, Algorithm::Es256]);
        let mut names: Vec<_> = usable.keys().map(|id| id.kid.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["bare", "ec", "rsa"]);
        let id = |kid: &str| KeyId {
            algorithm: Algorithm::Rs256,
            kid: kid.into(),
        };
        assert_eq!(
            usable[&id("rsa")],
            usable[&id("bare")],
            "a zero in front is no digit"
        );
    }

    /// The examples A.2 and A.3 of RFC 7515.
    #[test]
    fn the_standards_own_signatures_are_right_and_no_others() {
        let payload =
            "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let set: KeySet = serde_json::from_value(json!({"keys": [
            {"kid": "", "kty": "RSA", "e": "AQAB", "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"},
            {"kid": "", "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
        ]}))
        .unwrap();
        let keys = set.usable(&[Algorithm::Rs256, Algorithm::Es256]);
        for (algorithm, header, signature) in [
            (
                Algorithm::Rs256,
                "eyJhbGciOiJSUzI1NiJ9",
                "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
            ),
            (
                Algorithm::Es256,
                "eyJhbGciOiJFUzI1NiJ9",
                "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
            ),
        ] {
            let key = &keys[&KeyId {
                algorithm,
                kid: String::new(),
            }];
            let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
            assert!(
                key.verifies(format!("{header}.{payload}").as_bytes(), &signature),
                "{algorithm:?}"
            );
            assert!(!key.verifies(format!("{header}.{payload}x").as_bytes(), &signature));
            for (_, other) in keys.iter().filter(|(id, _)| id.algorithm != algorithm) {
                assert!(!other.verifies(format!("{header}.{payload}").as_bytes(), &signature));
            }
        }
    }

    #[test]
    fn keys_of_algorithms_that_are_not_pinned_are_left_out() {
        let set: KeySet =
            serde_json::from_value(json!({"keys": [{"kid": "a", "kty": "RSA", "n": "v78", "e": "AQAB"}]}))
                .unwrap();
        assert!(set.usable(&[Algorithm::Es256]).is_empty());
    }
}
