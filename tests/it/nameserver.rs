//! A small name server for tests: UDP on loopback, with answers that a test sets.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME};
use hickory_proto::rr::{Name, RData, Record, RecordType};

/// What is answered to questions for a name.
#[derive(Clone, Debug)]
pub enum Says {
    /// These addresses, with this TTL.
    Addresses(Vec<IpAddr>, u32),
    /// It's an alias of another name, whose own answer follows.
    Alias(String, u32),
    /// The other code, without records.
    Code(ResponseCode),
    /// Nothing.
    Silence,
}

/// These addresses.
pub fn addresses(texts: &[&str], ttl: u32) -> Says {
    let addresses = texts.iter().map(|text| text.parse().unwrap());
    Says::Addresses(addresses.collect(), ttl)
}

#[derive(Default)]
struct State {
    says: HashMap<String, Says>,
    asked: HashMap<(String, RecordType), usize>,
}

/// The server. Names that nothing is set of don't exist.
pub struct NameServer {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl NameServer {
    pub fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let state: Arc<Mutex<State>> = Arc::default();
        let stop: Arc<AtomicBool> = Arc::default();
        let (shared, stopped) = (state.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let mut octets = [0; 4096];
            loop {
                let Ok((len, client)) = socket.recv_from(&mut octets) else {
                    continue;
                };
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let query = Message::from_vec(&octets[..len]).unwrap();
                if let Some(response) = answer(&query, &mut shared.lock().unwrap()) {
                    let _ = socket.send_to(&response.to_vec().unwrap(), client);
                }
            }
        });
        Self {
            address,
            state,
            stop,
            thread: Some(thread),
        }
    }

    /// Sets what is said of a name from now on.
    pub fn set(&self, name: &str, says: Says) {
        let mut state = self.state.lock().unwrap();
        state.says.insert(name.to_owned(), says);
    }

    /// How often a name was asked for with that type.
    pub fn asked(&self, name: &str, rtype: RecordType) -> usize {
        let state = self.state.lock().unwrap();
        let asked = state.asked.get(&(name.to_owned(), rtype));
        asked.copied().unwrap_or(0)
    }

    /// How many questions there were in all.
    pub fn questions(&self) -> usize {
        self.state.lock().unwrap().asked.values().sum()
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let waker = UdpSocket::bind("127.0.0.1:0").unwrap();
        waker.send_to(&[0], self.address).unwrap();
        if let Some(thread) = self.thread.take() {
            assert!(thread.join().is_ok() || std::thread::panicking());
        }
    }
}

fn answer(query: &Message, state: &mut State) -> Option<Message> {
    let question = &query.queries[0];
    let rtype = question.query_type();
    let mut name = question.name().to_lowercase().to_string();
    *state.asked.entry((name.clone(), rtype)).or_default() += 1;
    let mut response = Message::response(query.metadata.id, OpCode::Query);
    response.add_query(question.clone());
    response.metadata.recursion_available = true;
    let mut code = ResponseCode::NoError;
    for _ in 0..8 {
        let owner = Name::from_ascii(&name).unwrap();
        match state.says.get(&name) {
            None => code = ResponseCode::NXDomain,
            Some(Says::Silence) => return None,
            Some(Says::Code(other)) => code = *other,
            Some(Says::Alias(target, ttl)) => {
                let data = RData::CNAME(CNAME(Name::from_ascii(target).unwrap()));
                response.add_answer(Record::from_rdata(owner, *ttl, data));
                name = target.clone();
                continue;
            }
            Some(Says::Addresses(addresses, ttl)) => {
                for address in addresses {
                    let data = match address {
                        IpAddr::V4(ip) => RData::A(A(*ip)),
                        IpAddr::V6(ip) => RData::AAAA(AAAA(*ip)),
                    };
                    if data.record_type() == rtype {
                        response.add_answer(Record::from_rdata(owner.clone(), *ttl, data));
                    }
                }
            }
        }
        break;
    }
    response.metadata.response_code = code;
    Some(response)
}
