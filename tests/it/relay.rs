//! Addresses that stay the same while what is behind them goes and comes.
//!
//! A port that a server has let go of may be another test's the next moment; these are
//! kept until the tests end.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex};

use socket2::{Domain, Socket, Type};

/// Where a relay leads to, if anywhere.
#[derive(Clone, Default)]
pub struct Behind(Arc<Mutex<Option<SocketAddr>>>);

impl Behind {
    /// Nobody is there from now on, or somebody else.
    pub fn set(&self, server: Option<SocketAddr>) {
        *self.0.lock().unwrap() = server;
    }

    /// Who is there.
    pub fn get(&self) -> Option<SocketAddr> {
        *self.0.lock().unwrap()
    }
}

impl From<SocketAddr> for Behind {
    fn from(server: SocketAddr) -> Self {
        Self(Arc::new(Mutex::new(Some(server))))
    }
}

/// Starts a relay for TCP; its address. With nobody behind it, connections end at once.
pub fn relay(behind: Behind) -> SocketAddr {
    let front = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = front.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in front.incoming().flatten() {
            let there = behind.get().map(TcpStream::connect);
            if let Some(Ok(server)) = there {
                pass_on(&client, &server);
                pass_on(&server, &client);
            }
        }
    });
    address
}

/// Passes on what one says to the other, until it has said everything.
fn pass_on(from: &TcpStream, to: &TcpStream) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    std::thread::spawn(move || {
        // What ends a connection on one side ends it on the other.
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
}

/// An address at which nobody listens, over TCP or UDP: both are refused.
pub fn nobody() -> SocketAddr {
    loop {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let tcp = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        tcp.bind(&any.into()).unwrap();
        let address = tcp.local_addr().unwrap().as_socket().unwrap();
        let Ok(udp) = UdpSocket::bind(address) else {
            continue;
        };
        // It hears that one alone, which is itself.
        udp.connect(address).unwrap();
        std::mem::forget((tcp, udp));
        return address;
    }
}
