//! Connections to the public internet and nowhere else.
//!
//! A name is resolved once, its addresses are looked at, and those very addresses are connected to: no second look-up
//! can answer otherwise. There is no proxy in between, because a proxy would look the name up for itself.

use std::{
    error::Error,
    fmt,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use hyper::{Uri, http::uri::Scheme};
use hyper_util::client::legacy::connect::{
    HttpConnector,
    dns::{GaiResolver, Name},
};
use tower_service::Service;

use crate::{connector::Connected, is_public};

/// How long a connection may take to come about: the addresses of a name share it, so that one which takes nothing
/// does not keep the next one from being tried within the ten seconds of an attempt.
const CONNECT: Duration = Duration::from_secs(8);

/// Connects to public addresses by `https`; to this machine by either scheme where that is allowed.
#[derive(Clone)]
pub(crate) struct Guarded {
    tcp: HttpConnector<Checked>,
    guard: Guard,
}

/// Which addresses may be connected to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Guard {
    /// Whether this machine's loopback addresses may be, too.
    pub(crate) to_this_machine: bool,
}

/// A place that nothing is sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forbidden {
    NotPublic,
    NotEncrypted,
}

/// A resolver whose answers are all allowed, or an error.
#[derive(Clone)]
pub(crate) struct Checked<R = GaiResolver> {
    resolver: R,
    guard: Guard,
}

type BoxError = Box<dyn Error + Send + Sync>;
type Future<T> = Pin<Box<dyn std::future::Future<Output = Result<T, BoxError>> + Send>>;

impl Guard {
    fn allows(self, address: IpAddr) -> bool {
        is_public(address) || self.to_this_machine && address.is_loopback()
    }

    /// Whether an address may be sent to, as far as it says itself.
    pub(crate) fn check(self, uri: &Uri) -> Result<(), Forbidden> {
        let literal = literal(uri);
        if literal.is_some_and(|address| !self.allows(address)) {
            return Err(Forbidden::NotPublic);
        }
        let is_here = uri.host() == Some("localhost") || literal.is_some_and(|address| address.is_loopback());
        if is_here && !self.to_this_machine {
            return Err(Forbidden::NotPublic);
        }
        if uri.scheme() != Some(&Scheme::HTTPS) && !(self.to_this_machine && is_here) {
            return Err(Forbidden::NotEncrypted);
        }
        Ok(())
    }
}

/// The host where it is no name.
fn literal(uri: &Uri) -> Option<IpAddr> {
    let host = uri.host()?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    bare.unwrap_or(host).parse().ok()
}

impl Guarded {
    pub(crate) fn new(guard: Guard) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Checked {
            resolver: GaiResolver::new(),
            guard,
        });
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        Self { tcp, guard }
    }
}

impl Service<Uri> for Guarded {
    type Response = Connected;
    type Error = BoxError;
    type Future = Future<Connected>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        // What is no name is not asked of the resolver.
        if let Err(forbidden) = self.guard.check(&uri) {
            return Box::pin(std::future::ready(Err(forbidden.into())));
        }
        let connecting = self.tcp.call(uri);
        Box::pin(async move { connecting.await.map_err(Into::into) })
    }
}

impl<R> Service<Name> for Checked<R>
where
    R: Service<Name, Response: Iterator<Item = SocketAddr>, Error: Into<BoxError>, Future: Send + 'static>,
{
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = Future<Self::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.resolver.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (resolving, guard) = (self.resolver.call(name), self.guard);
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = resolving.await.map_err(Into::into)?.collect();
            // One that is not allowed is enough: whoever answers so means no good.
            if addresses.iter().all(|address| guard.allows(address.ip())) {
                Ok(addresses.into_iter())
            } else {
                Err(Forbidden::NotPublic.into())
            }
        })
    }
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotPublic => "it must be on the public internet",
            Self::NotEncrypted => "it must be an https address",
        })
    }
}

impl Error for Forbidden {}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(to_this_machine: bool, uri: &str) -> Result<(), Forbidden> {
        Guard { to_this_machine }.check(&uri.parse().unwrap())
    }

    #[test]
    fn an_address_that_leads_inward_is_known_by_its_looks() {
        for inward in [
            "https://169.254.169.254/latest/meta-data",
            "https://[fd00:ec2::254]/",
            "https://[::ffff:10.0.0.1]/",
            "https://[64:ff9b::a9fe:a9fe]/",
            "https://10.1.2.3:8443",
            "https://[fe80::1]/",
            "https://0.0.0.0/",
            "https://localhost/",
            "https://127.0.0.1/",
            "https://[::1]/",
        ] {
            assert_eq!(check(false, inward), Err(Forbidden::NotPublic), "{inward}");
        }
        check(false, "https://example.org/hook").unwrap();
        check(false, "https://1.1.1.1/hook").unwrap();
        assert_eq!(check(false, "http://example.org"), Err(Forbidden::NotEncrypted));
    }

    #[test]
    fn this_machine_and_nothing_else_is_allowed_where_somebody_says_so() {
        for here in [
            "http://127.0.0.1:80/x",
            "http://[::1]/",
            "http://localhost:8080",
            "https://127.0.0.2/",
        ] {
            check(true, here).unwrap();
        }
        for inward in [
            "http://10.0.0.1/",
            "https://192.168.1.1",
            "https://169.254.169.254",
        ] {
            assert_eq!(check(true, inward), Err(Forbidden::NotPublic), "{inward}");
        }
        assert_eq!(check(true, "http://example.org"), Err(Forbidden::NotEncrypted));
    }

    /// Names are what the resolver says they are, not what they look like.
    #[tokio::test]
    async fn whatever_a_name_resolves_to_is_looked_at() {
        let resolve = async |to_this_machine: bool, name: &str| {
            let mut checked = Checked {
                resolver: GaiResolver::new(),
                guard: Guard { to_this_machine },
            };
            let resolved = checked.call(name.parse().unwrap()).await;
            resolved.map(Iterator::count).map_err(|error| error.to_string())
        };
        // Other ways to write 127.0.0.1 and 169.254.169.254, which resolvers read.
        for inward in ["localhost", "127.1", "2130706433", "0x7f000001", "2852039166"] {
            let refused = resolve(false, inward).await.unwrap_err();
            assert!(refused.contains("public internet"), "{inward}: {refused}");
        }
        assert!(resolve(true, "localhost").await.unwrap() > 0);
        resolve(true, "2852039166").await.unwrap_err();
    }

    /// A resolver that answers what its owner likes, and each time something else.
    struct Rebinding(Vec<&'static [&'static str]>);

    impl Service<Name> for Rebinding {
        type Response = std::vec::IntoIter<SocketAddr>;
        type Error = BoxError;
        type Future = std::future::Ready<Result<Self::Response, BoxError>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Name) -> Self::Future {
            let answer = self.0.remove(0).iter();
            let addresses = answer.map(|address| SocketAddr::new(address.parse().unwrap(), 0));
            std::future::ready(Ok(addresses.collect::<Vec<_>>().into_iter()))
        }
    }

    #[tokio::test]
    async fn a_name_is_looked_at_each_time_that_it_is_connected_to_and_one_bad_address_is_enough() {
        let answers: [(&[&str], bool); 5] = [
            (&["93.184.215.14"], true),
            (&["169.254.169.254"], false),
            (&["93.184.215.14", "10.0.0.1"], false),
            (&["2606:4700:4700::1111", "fd00:ec2::254"], false),
            (&["93.184.215.14", "2606:4700:4700::1111"], true),
        ];
        let mut checked = Checked {
            resolver: Rebinding(answers.iter().map(|(answer, _)| *answer).collect()),
            guard: Guard {
                to_this_machine: false,
            },
        };
        for (answer, is_allowed) in answers {
            let name: Name = "receiver.example".parse().unwrap();
            let resolved = checked.call(name).await;
            // What is connected to is what was looked at, and nothing else.
            let resolved = resolved.map(|addresses| addresses.map(|address| address.ip().to_string()));
            let expected = is_allowed.then(|| answer.to_vec());
            assert_eq!(
                resolved.ok().map(Iterator::collect::<Vec<_>>),
                expected.map(|ips| ips.iter().map(ToString::to_string).collect())
            );
        }
    }
}
