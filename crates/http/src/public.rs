//! Which addresses are on the public internet.
//!
//! Whatever is not is somebody's inside: this machine, the network that it is in, the service that gives its role's
//! credentials to it. The ranges are those of IANA's registries of special-purpose addresses (IPv4 and IPv6, 2026-11).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address is on the public internet. One that carries an IPv4 address is what that one is.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match embedded(address) {
            Some(address) => is_public_v4(address),
            None => is_public_v6(address),
        },
    }
}

#[expect(clippy::unnested_or_patterns, reason = "a range reads best as it is written")]
fn is_public_v4(address: Ipv4Addr) -> bool {
    let special = matches!(
        address.octets(),
        // This network, private use, loopback, multicast, reserved, broadcast.
        [0 | 10 | 127 | 224..=255, ..]
            | [172, 16..=31, ..]
            | [192, 168, ..]
            // Shared by a carrier's customers (and a cloud's metadata at 100.100.100.200).
            | [100, 64..=127, ..]
            // Link-local, and the metadata of most clouds at 169.254.169.254.
            | [169, 254, ..]
            // Protocol assignments (and a cloud's metadata at 192.0.0.192), relays of 6to4.
            | [192, 0, 0, _]
            | [192, 88, 99, _]
            // Documentation, benchmarks.
            | [192, 0, 2, _]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
            | [198, 18 | 19, ..]
            // What a cloud tells its machines of themselves, at an address that looks like any other.
            | [168, 63, 129, 16]
    );
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    // Global unicast is 2000::/3; loopback, link-local, unique local (and metadata at fd00:ec2::254), multicast and
    // all the rest is outside of it.
    if segments[0] & 0xe000 != 0x2000 {
        return false;
    }
    let special = match segments {
        // Protocol assignments: Teredo, which carries IPv4 addresses, benchmarks, identifiers.
        [0x2001, second, ..] => second < 0x0200 || second == 0x0db8,
        // 6to4, which carries them too, and nobody needs any more.
        [0x2002, ..] => true,
        // Documentation.
        [0x3fff, second, ..] => second < 0x1000,
        _ => false,
    };
    !special
}

/// The IPv4 address that an IPv6 one stands for: mapped (`::ffff:0:0/96`), or behind the translator of a network
/// without IPv4 (`64:ff9b::/96`).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    const MAPPED: [u16; 6] = [0, 0, 0, 0, 0, 0xffff];
    const TRANSLATED: [u16; 6] = [0x64, 0xff9b, 0, 0, 0, 0];
    let segments = address.segments();
    let (prefix, _) = segments.split_at(MAPPED.len());
    let [.., first, second, third, fourth] = address.octets();
    (prefix == MAPPED || prefix == TRANSLATED).then(|| Ipv4Addr::new(first, second, third, fourth))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Ranges that nothing is sent to, as the registries write them.
    const SPECIAL_V4: [&str; 20] = [
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",
        "169.254.0.0/16",
        "169.254.169.254/32",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.0.192/32",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "255.255.255.255/32",
        "100.100.100.200/32",
    ];
    const SPECIAL_V6: [&str; 20] = [
        "::/128",
        "::1/128",
        "::/96",
        "64:ff9b:1::/48",
        "100::/64",
        "100:0:0:1::/64",
        "2001::/32",
        "2001:2::/48",
        "2001:20::/28",
        "2001:30::/28",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fd00:ec2::254/128",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    ];

    /// An address of a range, whose other bits are these.
    fn within_v4(range: &str, bits: u32) -> Ipv4Addr {
        let (base, length) = range.split_once('/').unwrap();
        let free = u32::MAX.checked_shr(length.parse().unwrap()).unwrap_or(0);
        Ipv4Addr::from(u32::from(base.parse::<Ipv4Addr>().unwrap()) | bits & free)
    }

    fn within_v6(range: &str, bits: u128) -> Ipv6Addr {
        let (base, length) = range.split_once('/').unwrap();
        let free = u128::MAX.checked_shr(length.parse().unwrap()).unwrap_or(0);
        Ipv6Addr::from(u128::from(base.parse::<Ipv6Addr>().unwrap()) | bits & free)
    }

    fn carried(prefix: &str, address: Ipv4Addr) -> IpAddr {
        let prefix = u128::from(prefix.parse::<Ipv6Addr>().unwrap());
        IpAddr::V6(Ipv6Addr::from(prefix | u128::from(u32::from(address))))
    }

    proptest! {
        #[test]
        fn no_address_of_a_special_range_is_public(range in 0..SPECIAL_V4.len(), other in 0..SPECIAL_V6.len(), bits: u128) {
            #[expect(clippy::cast_possible_truncation, reason = "some bits of many")]
            let four = within_v4(SPECIAL_V4[range], bits as u32);
            let six = within_v6(SPECIAL_V6[other], bits);
            prop_assert!(!is_public(four.into()), "{} of {}", four, SPECIAL_V4[range]);
            prop_assert!(!is_public(six.into()), "{} of {}", six, SPECIAL_V6[other]);
        }

        #[test]
        fn an_address_that_carries_another_is_what_that_one_is(bits: u32) {
            let address = Ipv4Addr::from(bits);
            for prefix in ["::ffff:0:0", "64:ff9b::"] {
                prop_assert_eq!(is_public(carried(prefix, address)), is_public(address.into()));
            }
            for prefix in ["::", "64:ff9b:1::", "::ffff:0:0:0"] {
                prop_assert!(!is_public(carried(prefix, address)), "{}{}", prefix, address);
            }
            // 6to4 and Teredo carry it further up.
            let six_to_four = Ipv6Addr::from(0x2002_u128 << 112 | u128::from(bits) << 80);
            let teredo = Ipv6Addr::from(0x2001_0000_u128 << 96 | u128::from(bits) << 64 | u128::from(!bits));
            prop_assert!(!is_public(six_to_four.into()) && !is_public(teredo.into()));
        }

        #[test]
        fn everything_else_is_public(bits: u32) {
            let address = Ipv4Addr::from(bits);
            let is_special = SPECIAL_V4.iter().any(|range| {
                let (base, length) = range.split_once('/').unwrap();
                let free = u32::MAX.checked_shr(length.parse().unwrap()).unwrap_or(0);
                u32::from(base.parse::<Ipv4Addr>().unwrap()) == bits & !free
            });
            prop_assert_eq!(is_public(address.into()), !is_special, "{}", address);
        }
    }

    #[test]
    fn receivers_of_the_world_are_public() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2001:4860:4860::8888",
            "2a00:1450:4001::1",
            "64:ff9b::808:808",
        ] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }
}
