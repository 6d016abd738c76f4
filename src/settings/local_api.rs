//! Where the local API listens.

use std::net::{IpAddr, Ipv4Addr};

use super::reader::Reader;

const HOST_ALLOWED: &str = "a loopback address: 127.0.0.1, ::1 or localhost";

/// Where the local API listens.
#[derive(Clone, Debug)]
pub struct LocalApiSettings {
    /// The address to bind; always a loopback address in this version.
    pub host: IpAddr,
    /// The port to bind; 0 lets the operating system choose a free one.
    pub port: u16,
}

impl LocalApiSettings {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let host = reader.text("local_api_host", HOST_ALLOWED, loopback);
        if let Some(host) = host {
            reader.show_given("local_api_host", host.to_string());
        }
        let port = reader.whole_number("local_api_port", "", 0..=65_535);
        Some(Self {
            host: host?,
            port: u16::try_from(port?).ok()?,
        })
    }
}

fn loopback(text: &str) -> Result<IpAddr, String> {
    if text.eq_ignore_ascii_case("localhost") {
        return Ok(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    let address: IpAddr = text.parse().map_err(|_| "it is no IP address".to_owned())?;
    if address.is_loopback() {
        Ok(address)
    } else {
        Err("this version has no token protection yet, so anyone in the network could control the service".to_owned())
    }
}
