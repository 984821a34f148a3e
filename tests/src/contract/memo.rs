use bedrock_diy_core::ports::Memo;

/// Nobody's answer is nobody's.
pub async fn an_unknown_memo_key_finds_nothing(memo: &dyn Memo) {
    assert_eq!(
        memo.find(&bedrock_diy_core::text::sha256_hex(b"nobody asked this"))
            .await
            .unwrap(),
        None
    );
}
