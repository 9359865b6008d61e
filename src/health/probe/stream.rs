//! A TCP connection that opens; then, if asked for, something said and something heard.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{MAX_RESPONSE_LEN, ProbeError, ProbeResult, Target, holds};

/// Connects, sends, and reads until what is expected has come.
pub(super) async fn probe(
    target: &Target,
    send: &[u8],
    expect: &[u8],
) -> Result<ProbeResult, ProbeError> {
    let mut stream = TcpStream::connect(target.address).await?;
    stream.write_all(send).await?;
    if expect.is_empty() {
        return Ok(ProbeResult::passed("connected"));
    }
    let mut read = Vec::new();
    loop {
        let before = read.len();
        let room = (MAX_RESPONSE_LEN - before) as u64;
        if (&mut stream).take(room).read_buf(&mut read).await? == 0 {
            // What it said is for whoever may talk to it, not for whoever registers.
            let len = read.len();
            return Ok(ProbeResult::failed(format!(
                "didn't say what is expected, in {len} octets"
            )));
        }
        if holds(&read, before, expect) {
            return Ok(ProbeResult::passed("said what is expected"));
        }
    }
}
