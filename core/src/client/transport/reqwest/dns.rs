//! Names to addresses, in an order in which one silent address does not cost the whole connect limit.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::connect::ATTEMPT;
use crate::client::system::clock::{Clock, TokioClock};
use crate::error::BoxError;

/// The system's resolver, with fixed answers for some names.
#[derive(Debug)]
pub(super) struct Resolver {
    fixed: HashMap<String, Vec<IpAddr>>,
}

impl Resolver {
    pub(super) fn new(fixed: &[(String, Vec<IpAddr>)]) -> Arc<Self> {
        Arc::new(Resolver { fixed: fixed.iter().map(|(name, to)| (name.to_ascii_lowercase(), to.clone())).collect() })
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let fixed = self.fixed.get(name.as_str()).cloned();
        Box::pin(async move {
            // Port 0 stands for the port of the URL.
            let addresses = match fixed {
                Some(addresses) => addresses.into_iter().map(|address| SocketAddr::new(address, 0)).collect(),
                None => {
                    let began = TokioClock.now();
                    let found = tokio::net::lookup_host((name.as_str(), 0)).await;
                    // Failed or not, in the task of the attempt that waits for it.
                    let _ = ATTEMPT.try_with(|attempt| attempt.resolved(TokioClock.now().since(began)));
                    found?.collect()
                }
            };
            Ok::<Addrs, BoxError>(Box::new(with_fallback(addresses).into_iter()))
        })
    }
}

/// hyper-util tries the addresses of one family one after the other, each as long as it takes, and starts with the other family when
/// 300 ms have passed (happy eyeballs). A name with several IPv4 addresses and no IPv6 address would wait for a silent first
/// one until the connect limit. So the others are offered once more as IPv4-mapped IPv6 addresses: the same peer, in "the other
/// family". Where there are no IPv6 sockets that branch fails at once and harms nothing.
fn with_fallback(mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    if addresses.len() > 1 && addresses.iter().all(SocketAddr::is_ipv4) {
        let mapped = |address: &SocketAddr| match address.ip() {
            IpAddr::V4(ip) => SocketAddr::new(IpAddr::V6(ip.to_ipv6_mapped()), address.port()),
            IpAddr::V6(_) => *address,
        };
        let others: Vec<_> = addresses.iter().skip(1).map(mapped).collect();
        addresses.extend(others);
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(addresses: &[&str]) -> Vec<String> {
        let addresses = addresses.iter().map(|address| SocketAddr::new(address.parse().unwrap(), 0)).collect();
        with_fallback(addresses).iter().map(|address| address.ip().to_string()).collect()
    }

    #[test]
    fn only_names_with_several_ipv4_addresses_get_a_second_family() {
        assert_eq!(ordered(&["127.0.0.1"]), ["127.0.0.1"]);
        assert_eq!(ordered(&["::1", "127.0.0.1"]), ["::1", "127.0.0.1"]);
        assert_eq!(ordered(&["127.0.0.1", "127.0.0.2"]), ["127.0.0.1", "127.0.0.2", "::ffff:127.0.0.2"]);
    }
}
