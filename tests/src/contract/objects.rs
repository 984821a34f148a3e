use bedrock_diy_core::{Code, article::Bucket, ports::Objects};

use super::object;

/// What was put is got, whatever its size and key.
pub async fn what_was_put_is_got(objects: &dyn Objects) {
    for (key, bytes) in [
        ("inbox/p/b/a b+c.txt", b"text".to_vec()),
        ("inbox/p/b/기사 📰.txt", Vec::new()),
        (
            "inbox/p/b/large.bin",
            (0..3_000_000_u32).map(|n| n.to_le_bytes()[0]).collect(),
        ),
    ] {
        let stored = objects.put(Bucket::Articles, key, bytes.clone()).await.unwrap();
        assert_eq!((stored.key.as_str(), stored.size), (key, bytes.len() as u64));
        assert_eq!(objects.get(&stored).await.unwrap(), bytes, "{key}");
    }
}

/// A reference goes on to mean the version that it was made for.
pub async fn a_reference_names_a_version(objects: &dyn Objects) {
    let first = objects
        .put(Bucket::Articles, "inbox/p/b/changed.txt", b"first".to_vec())
        .await
        .unwrap();
    let second = objects
        .put(Bucket::Articles, "inbox/p/b/changed.txt", b"second".to_vec())
        .await
        .unwrap();
    assert_ne!(first.version, second.version);
    assert_eq!(objects.get(&first).await.unwrap(), b"first");
    assert_eq!(objects.get(&second).await.unwrap(), b"second");
}

/// What is not there is `ArticleNotFound`.
pub async fn what_is_not_there_is_not_found(objects: &dyn Objects) {
    let failure = objects.get(&object("nobody/put/this.txt")).await.unwrap_err();
    assert_eq!(failure.code, Code::ArticleNotFound);
}
