//! Octets to a server and back, over UDP and TCP.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use hickory_proto::op::Message;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

use super::message::Asked;

/// Most octets of UDP that are read: more than we say that we take, as some send more.
const MAX_DATAGRAM: usize = 4096;

/// Asks over UDP, from a port of its own that the system draws.
///
/// The socket is connected, so that the system lets through only what comes from the
/// server. What isn't the answer is read over.
pub(super) async fn over_udp(server: SocketAddr, asked: &Asked) -> Result<Message, String> {
    let local: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(local).await.map_err(unreachable)?;
    socket.connect(server).await.map_err(unreachable)?;
    socket.send(&asked.octets).await.map_err(unreachable)?;
    let mut octets = [0; MAX_DATAGRAM];
    loop {
        let len = socket.recv(&mut octets).await.map_err(unreachable)?;
        if let Some(response) = asked.accept(&octets[..len]) {
            return Ok(response);
        }
    }
}

/// Asks over TCP ([RFC 7766](https://www.rfc-editor.org/rfc/rfc7766) §8).
pub(super) async fn over_tcp(server: SocketAddr, asked: &Asked) -> Result<Message, String> {
    let mut stream = TcpStream::connect(server).await.map_err(unreachable)?;
    // A question is shorter than 600 octets.
    let len = u16::try_from(asked.octets.len()).unwrap_or(u16::MAX);
    let mut framed = len.to_be_bytes().to_vec();
    framed.extend_from_slice(&asked.octets);
    stream.write_all(&framed).await.map_err(unreachable)?;
    loop {
        let len = stream.read_u16().await.map_err(unreachable)?;
        let mut octets = vec![0; usize::from(len)];
        stream.read_exact(&mut octets).await.map_err(unreachable)?;
        if let Some(response) = asked.accept(&octets) {
            return Ok(response);
        }
    }
}

fn unreachable(error: io::Error) -> String {
    format!("can't be asked: {error}")
}
