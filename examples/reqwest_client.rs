//! HTTP by the name of a service: reqwest finds its instances, ports included.
//!
//! ```text
//! cargo run --example reqwest_client -- [URL] [DNS]
//! cargo run --example reqwest_client -- http://web.svc.internal/ 127.0.0.1:8053
//! ```
//!
//! First a client whose resolver is namebeat's, which needs no other change; then requests
//! one by one over all instances, which go on to another one when one can't be reached.

use std::process::ExitCode;
use std::sync::Arc;

use namebeat::client::{Discovery, Resolver, RoundRobin};
use reqwest::Url;

type Error = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("reqwest_client: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = |default: &str| arguments.next().unwrap_or_else(|| default.to_owned());
    let url: Url = argument("http://web.svc.internal/").parse()?;
    let dns = argument("127.0.0.1:8053");
    let dns = dns
        .parse()
        .map_err(|_| format!("{dns:?} is no address and port, such as 127.0.0.1:8053"))?;
    let discovery = Discovery::builder().server(dns).build()?;

    let http = reqwest::Client::builder()
        .no_proxy()
        .dns_resolver(Arc::new(Resolver::new(discovery.clone())))
        .build()?;
    let answer = http.get(url.clone()).send().await?.text().await?;
    println!("by the resolver: {}", answer.trim());

    // The connection above would be used again and again; these go round.
    let host = url.host_str().unwrap_or_default().to_owned();
    let pool = discovery.pool(host, RoundRobin::default());
    for _ in 0..6 {
        let request = http.get(url.clone()).build()?;
        let response = pool.execute(&http, request).await?;
        println!("by the pool: {}", response.text().await?.trim());
    }
    Ok(())
}
