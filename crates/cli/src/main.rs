//! The program; everything it does is in the library.

use bedrock_diy::{arguments::Arguments, commands, exit};

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let arguments = Arguments::typed();
    commands::log(&arguments);
    match commands::run(arguments).await {
        Ok(code) => code.into(),
        Err(failure) => exit::report(&failure),
    }
}
