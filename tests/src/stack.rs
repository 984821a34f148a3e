//! The stack that the tests are given.

use std::path::PathBuf;

use bedrock_diy_stack::Stack;

/// The stack that `cargo verify` has deployed for the tests.
///
/// # Panics
///
/// Where there is none.
#[must_use]
pub fn stack() -> Stack {
    let Some(file) = std::env::var_os("BEDROCK_DIY_STACK") else {
        panic!(
            "`cargo verify` deploys a stack for these tests. By hand: `cargo stack --ready target/stack.json` in \
             another terminal, then the test with BEDROCK_DIY_STACK=$PWD/target/stack.json"
        );
    };
    Stack::read(&PathBuf::from(file)).unwrap()
}
