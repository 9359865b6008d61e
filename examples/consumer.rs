//! A client that spreads requests over the instances of a service, and loses none when one dies.
//!
//! ```text
//! cargo run --example consumer -- [NAME] [DNS] [REQUESTS]
//! cargo run --example consumer -- web 127.0.0.1:8053 30
//! ```
//!
//! `NAME` is a service, or a whole name such as `_http._tcp.web.svc.internal`; `DNS` is
//! namebeat's address, or `system` for the system's resolvers. It sends `GET /` twenty
//! times a second, prints each answer, and at the end how many each instance gave. Kill
//! one of them on the way. If a request is lost, or nobody is listed, it ends with exit
//! code 1 and says why.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use namebeat::client::{Discovery, LeastLoaded};

/// Longest time that an instance may take to answer.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Time between two requests.
const PAUSE: Duration = Duration::from_millis(50);

type Error = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("consumer: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = |default: &str| arguments.next().unwrap_or_else(|| default.to_owned());
    let name = argument("web");
    let dns = argument("127.0.0.1:8053");
    let requests = argument("30");
    let requests: u32 = requests
        .parse()
        .map_err(|_| format!("{requests:?} is no number of requests"))?;

    let mut builder = Discovery::builder();
    if dns != "system" {
        let server = dns.parse();
        builder = builder.server(server.map_err(|_| {
            format!("{dns:?} is no address and port, such as 127.0.0.1:8053, nor \"system\"")
        })?);
    }
    let pool = builder.build()?.pool(name, LeastLoaded);
    let http = reqwest::Client::builder()
        .no_proxy()
        .timeout(TIMEOUT)
        .build()?;

    let mut answers: BTreeMap<String, u32> = BTreeMap::new();
    for number in 1..=requests {
        // When one fails, another instance is asked at once.
        let answer = pool
            .call(|endpoint| {
                let request = http.get(format!("http://{}/", endpoint.address()));
                async { request.send().await?.error_for_status()?.text().await }
            })
            .await?;
        let answer = answer.trim().to_owned();
        println!("{number}: {answer}");
        *answers.entry(answer).or_default() += 1;
        tokio::time::sleep(PAUSE).await;
    }
    for (answer, count) in answers {
        println!("{answer} answered {count}");
    }
    Ok(())
}
