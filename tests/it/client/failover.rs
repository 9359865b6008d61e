//! The failover trial: under load, instances are killed and drained at random, and no
//! request is lost.
//!
//! It takes a few seconds here; `NAMEBEAT_TRIAL_SECONDS=60` has it take a minute.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use namebeat::client::{
    Balancer, Client, Discovery, LeastLoaded, Pool, Registration, RoundRobin, Weighted,
};
use namebeat::config::Settings;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use super::calls::url;
use crate::harness::TestServer;

/// Most instances at once, and fewest that live.
const INSTANCES: (usize, usize) = (6, 2);

/// Who sends requests.
const CALLERS: usize = 6;

/// An instance with a runtime of its own, so that it can be killed with all it does.
struct Instance {
    runtime: Runtime,
    registration: Registration,
    address: SocketAddr,
}

impl Instance {
    fn start(server: &str, number: usize) -> Self {
        // Of its own: what is killed takes its connections with it.
        let client: Client = server.parse().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (registration, address) = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            // Serve first, register second.
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream));
                }
            });
            let registration = Registration::of("web", format!("web-{number}"))
                .address(address.ip())
                .port(address.port())
                .lease(Duration::from_secs(2))
                .register(&client)
                .await
                .unwrap();
            (registration, address)
        });
        Self {
            runtime,
            registration,
            address,
        }
    }

    /// Ends at once: connections break, and nobody is told.
    fn kill(self) {
        self.runtime.shutdown_background();
    }

    /// Leaves: serves until no cache holds its address.
    fn leave(self) {
        let left = self.runtime.block_on(self.registration.close());
        assert!(left.is_ok(), "{left:?}");
        // Requests that came just before are still answered.
        self.runtime.shutdown_timeout(Duration::from_millis(200));
    }
}

/// Answers one request, in two parts, so that it may be killed in between.
async fn serve(mut stream: TcpStream) {
    let mut request = [0; 4];
    if stream.read_exact(&mut request).await.is_ok() && &request == b"ping" {
        let _ = stream.write_all(b"po").await;
        tokio::time::sleep(Duration::from_millis(3)).await;
        let _ = stream.write_all(b"ng").await;
    }
}

/// One request of a client.
async fn ask(address: SocketAddr) -> Result<(), String> {
    let asked = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"ping").await?;
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    match tokio::time::timeout(Duration::from_secs(2), asked).await {
        Ok(Ok(answer)) if &answer == b"pong" => Ok(()),
        Ok(Ok(answer)) => Err(format!("{answer:?}")),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("no answer in time".to_owned()),
    }
}

/// What callers count.
#[derive(Default)]
struct Counts {
    answered: AtomicUsize,
    /// Tries that failed and were made up for.
    retried: AtomicUsize,
    is_over: AtomicBool,
}

async fn call(pool: Pool<Box<dyn Balancer>>, counts: Arc<Counts>) -> Result<(), String> {
    while !counts.is_over.load(Relaxed) {
        let mut tries = 0;
        let answered = pool
            .call(|endpoint| {
                tries += 1;
                ask(endpoint.address())
            })
            .await;
        answered.map_err(|error| error.to_string())?;
        counts.answered.fetch_add(1, Relaxed);
        counts.retried.fetch_add(tries - 1, Relaxed);
    }
    Ok(())
}

#[test]
fn no_request_is_lost_while_instances_are_killed_and_drained() {
    let seconds = std::env::var("NAMEBEAT_TRIAL_SECONDS");
    let seconds = seconds.map_or(5, |text| text.parse().unwrap());
    let server = TestServer::with(Settings {
        ttl: Some("1s".parse().unwrap()),
        // Leases that run out together are not held: here they are what's looked at.
        guard_hold: Some("0s".parse().unwrap()),
        ..Settings::default()
    });
    let server_url = url(&server);
    let client: Client = server_url.parse().unwrap();
    let mut random = fastrand::Rng::new();
    let seed = random.get_seed();
    let mut living: Vec<Instance> = (0..INSTANCES.0)
        .map(|number| Instance::start(&server_url, number))
        .collect();
    let callers = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let by_dns = Discovery::builder().server(server.dns()).build().unwrap();
    let by_stream = Discovery::builder().server(server.dns()).watch(&client);
    let by_stream = by_stream.build().unwrap();
    let counts = Arc::<Counts>::default();
    let tasks: Vec<_> = (0..CALLERS)
        .map(|number| {
            let balancer: Box<dyn Balancer> = match number % 3 {
                0 => Box::new(RoundRobin::default()),
                1 => Box::new(Weighted),
                _ => Box::new(LeastLoaded),
            };
            let discovery = [&by_dns, &by_stream][number % 2];
            let pool = discovery.pool("web", balancer).attempts(6);
            callers.spawn(call(pool, counts.clone()))
        })
        .collect();
    let (mut killed, mut left, mut started) = (0, 0, INSTANCES.0);
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut leaving = Vec::new();
    while Instant::now() < end && tasks.iter().all(|task| !task.is_finished()) {
        std::thread::park_timeout(Duration::from_millis(random.u64(50..250)));
        if living.len() > INSTANCES.1 && random.bool() {
            let instance = living.swap_remove(random.usize(..living.len()));
            if random.bool() {
                instance.kill();
                killed += 1;
            } else {
                leaving.push(std::thread::spawn(|| instance.leave()));
                left += 1;
            }
        } else if living.len() < INSTANCES.0 {
            living.push(Instance::start(&server_url, started));
            started += 1;
        }
    }
    counts.is_over.store(true, Relaxed);
    for task in tasks {
        let ended = callers.block_on(task).unwrap();
        assert_eq!(ended, Ok(()), "seed {seed}, {killed} killed, {left} left");
    }
    for thread in leaving {
        thread.join().unwrap();
    }
    let answered = counts.answered.load(Relaxed);
    let retried = counts.retried.load(Relaxed);
    eprintln!(
        "{answered} requests in {seconds} s, none lost, {retried} tries made up for; \
         {started} instances started, {killed} killed, {left} drained"
    );
    assert!(killed > 0 && left > 0 && answered > 100, "{answered}");
    let addresses: std::collections::HashSet<_> = living.iter().map(|it| it.address).collect();
    assert_eq!(addresses.len(), living.len());
    living.into_iter().for_each(Instance::kill);
}
