//! A datagram that is answered.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::net::UdpSocket;

use super::{MAX_RESPONSE_LEN, ProbeError, ProbeResult, Target, holds};

/// A socket that hears `target` alone.
pub(super) async fn socket(target: &Target) -> Result<UdpSocket, ProbeError> {
    let any = match target.address.ip() {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(target.address).await?;
    Ok(socket)
}

/// Sends, and judges the first datagram that comes back.
pub(super) async fn probe(
    target: &Target,
    send: &[u8],
    expect: &[u8],
) -> Result<ProbeResult, ProbeError> {
    let socket = socket(target).await?;
    socket.send(send).await?;
    let mut answer = vec![0; MAX_RESPONSE_LEN];
    let len = socket.recv(&mut answer).await?;
    let answer = &answer[..len];
    if expect.is_empty() || holds(answer, 0, expect) {
        return Ok(ProbeResult::passed("answered"));
    }
    // What it said is for whoever may talk to it, not for whoever registers.
    Ok(ProbeResult::failed(format!(
        "didn't answer what is expected, in {len} octets"
    )))
}
