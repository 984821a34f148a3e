//! Logs, as `docs/LOGGING.md` lists them: a JSON document a line, on standard error.

use tracing_subscriber::EnvFilter;

/// Sets logs up. `RUST_LOG` says which; `info` where it says nothing.
pub(crate) fn start() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
}

/// The trace's id within its header (`Root=1-…;Parent=…;Sampled=…`).
pub(crate) fn root(header: &str) -> &str {
    header
        .split(';')
        .find_map(|part| part.strip_prefix("Root="))
        .unwrap_or(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_known_by_its_root() {
        assert_eq!(root("Root=1-67-89;Parent=53;Sampled=1"), "1-67-89");
        assert_eq!(root("1-67-89"), "1-67-89");
    }
}
