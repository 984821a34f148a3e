//! Tokens of one machine's own.

#![expect(
    clippy::unwrap_used,
    reason = "a panic is how a test fails, in its helpers too"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use bedrock_diy_core::{
    Code, Failure,
    access::{Caller, Role},
};
use bedrock_diy_identity::{Identity as _, LOCAL, NewToken, Refused, TokenFile, local_token};

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("tokens.toml")
    }

    fn open(&self, byte: u8) -> (TokenFile, Option<NewToken>) {
        TokenFile::open_or_create(self.path(), [byte; 32]).unwrap()
    }

    fn refusal(&self) -> Failure {
        TokenFile::open_or_create(self.path(), [0; 32]).unwrap_err()
    }

    /// Writes a file as somebody with an editor would, who has seen to its rights.
    fn write(&self, text: &str) {
        fs::write(self.path(), text).unwrap();
        set_mode(&self.path(), 0o600);
    }
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(not(unix))]
fn set_mode(_: &Path, _: u32) {}

#[tokio::test]
async fn the_first_token_is_an_admins_and_found_again_by_local_tools() {
    let place = Place::new();
    assert_eq!(local_token(&place.path()).unwrap(), None);
    let (file, made) = place.open(1);
    let made = made.unwrap();
    assert_eq!((made.name.as_str(), made.role), (LOCAL, Role::Admin));
    assert_eq!(made.token.len(), 46);
    assert!(made.token.starts_with("bd_"));
    let caller = Caller {
        subject: "local".into(),
        name: "local".into(),
        role: Role::Admin,
    };
    assert_eq!(file.caller(&made.token).await.unwrap(), caller);
    assert_eq!(local_token(&place.path()).unwrap(), Some(made.token.clone()));
    assert!(!fs::read_to_string(place.path()).unwrap().contains(&made.token));
    assert!(!format!("{made:?}").contains(&made.token));

    let (again, second) = place.open(2);
    assert!(second.is_none());
    assert_eq!(again.caller(&made.token).await.unwrap(), caller);
}

#[tokio::test]
async fn what_is_no_token_of_the_file_is_refused_and_not_repeated() {
    let place = Place::new();
    let (file, made) = place.open(1);
    let good = made.unwrap().token;
    let hash = file.entries().unwrap()[0].sha256.clone();
    for wrong in [
        String::new(),
        "bd_".into(),
        good[..45].into(),
        format!("{good} "),
        good.to_lowercase(),
        hash,
        "x".repeat(1 << 20),
    ] {
        let refused = file.caller(&wrong).await.unwrap_err();
        assert_eq!(
            refused,
            Refused::Invalid("the token is not one of this server's".into())
        );
    }
}

/// As long as it may take until a changed file counts.
async fn a_second() {
    tokio::time::advance(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_token_counts_from_when_it_is_made_until_it_is_removed() {
    let place = Place::new();
    let (file, _) = place.open(1);
    // Another process, as the command line is one beside the server.
    let (other, _) = place.open(9);
    let made = other.add("ada", Role::Viewer, [2; 32]).unwrap();
    a_second().await;
    let caller = file.caller(&made.token).await.unwrap();
    assert_eq!((caller.subject.as_str(), caller.role), ("ada", Role::Viewer));
    let refused = file.add("ada", Role::Admin, [3; 32]).unwrap_err();
    assert!(refused.detail.contains("`ada`"), "{refused:?}");
    assert!(other.remove("ada").unwrap());
    assert!(!other.remove("ada").unwrap());
    other.caller(&made.token).await.unwrap_err();
    a_second().await;
    file.caller(&made.token).await.unwrap_err();
    assert_eq!(file.entries().unwrap().len(), 1);
}

#[tokio::test]
async fn the_local_token_may_be_removed_for_good_and_made_anew() {
    let place = Place::new();
    let (file, made) = place.open(1);
    file.remove(LOCAL).unwrap();
    file.caller(&made.unwrap().token).await.unwrap_err();
    assert_eq!(local_token(&place.path()).unwrap(), None);
    let (file, made) = place.open(2);
    assert!(made.is_none(), "it stays removed");
    let made = file.add(LOCAL, Role::Editor, [3; 32]).unwrap();
    assert_eq!(local_token(&place.path()).unwrap(), Some(made.token.clone()));
    assert_eq!(file.caller(&made.token).await.unwrap().role, Role::Editor);
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn a_file_that_others_may_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    let (file, made) = place.open(1);
    let token = made.unwrap().token;
    let plain = place.folder.path().join("token");
    for path in [&place.path(), &plain] {
        let mode = fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    for mode in [0o644, 0o640, 0o620, 0o604] {
        set_mode(&place.path(), mode);
        let refusal = place.refusal();
        assert_eq!(refusal.code, Code::InvalidRequest);
        assert!(refusal.detail.contains("chmod 600"), "{}", refusal.detail);
        // One that is opened while the server runs lets nobody in, and says nothing of where it lies.
        a_second().await;
        let Err(Refused::Unavailable(why)) = file.caller(&token).await else {
            panic!("mode {mode:o}");
        };
        assert!(!why.contains("tokens.toml"));
    }
    set_mode(&place.path(), 0o600);
    file.caller(&token).await.unwrap();
    set_mode(&plain, 0o644);
    assert_eq!(local_token(&place.path()).unwrap_err().code, Code::InvalidRequest);
}

#[tokio::test]
async fn a_file_that_makes_no_sense_is_refused_with_its_line() {
    let place = Place::new();
    let entry = |name: &str, more: &str| {
        let hash = "0".repeat(64);
        format!("[[token]]\nname = \"{name}\"\nrole = \"viewer\"\nsha256 = \"{hash}\"\n{more}\n")
    };
    for (text, why) in [
        ("[[token]\n".to_owned(), "line 1"),
        (
            entry("ada", "") + "[[token]]\nname = \"eve\"\nrole = \"owner\"",
            "line 8",
        ),
        (entry("ada", "token = \"bd_x\""), "line 5"),
        (entry("ada", "") + &entry("ada", ""), "`ada`"),
        (entry("", ""), "name"),
        (entry("ada", "").replace("000", "xyz"), "`sha256`"),
    ] {
        place.write(&text);
        let refusal = place.refusal();
        assert_eq!(refusal.code, Code::InvalidRequest);
        assert!(refusal.detail.contains(why), "{}", refusal.detail);
        assert!(!refusal.detail.contains("bd_x"), "{}", refusal.detail);
    }
    place.write(&(entry("ada", "") + &entry("eve", "")));
    assert_eq!(place.open(1).0.entries().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_gone_lets_nobody_in() {
    let place = Place::new();
    let (file, made) = place.open(1);
    let token = made.unwrap().token;
    fs::remove_file(place.path()).unwrap();
    assert!(matches!(file.caller(&token).await, Err(Refused::Unavailable(_))));
    // Made anew, with another token, by the next one who opens it.
    let (_, made) = place.open(2);
    a_second().await;
    file.caller(&token).await.unwrap_err();
    file.caller(&made.unwrap().token).await.unwrap();
}
