//! Progress of what takes longer than a second: one line on stderr that is written over.
//!
//! Only on a terminal: a log file gets no such lines.

use std::future::Future;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use tokio::time::Instant;

/// Time after which something takes long, and between two writings of its line.
const PATIENCE: Duration = Duration::from_secs(1);

/// Awaits `work`. Once that takes long, `say` is shown each second with the time since the start.
pub(super) async fn shown<T>(say: impl Fn(Duration) -> String, work: impl Future<Output = T>) -> T {
    if !io::stderr().is_terminal() {
        return work.await;
    }
    let start = Instant::now();
    let mut ticks = tokio::time::interval_at(start + PATIENCE, PATIENCE);
    let mut line = Line { is_shown: false };
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            _ = ticks.tick() => line.show(&say(start.elapsed())),
        }
    }
}

/// Does what blocks, and shows the time since the start once that takes long.
pub(super) fn blocking<T: Send + 'static>(
    what: impl Into<String>,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let done = runtime.spawn_blocking(work);
    let done = runtime.block_on(shown(since(what), done));
    done.map_err(io::Error::other)
}

/// Says what is waited for, with whole seconds since the start.
pub(super) fn since(what: impl Into<String>) -> impl Fn(Duration) -> String {
    let what = what.into();
    move |passed| format!("{what} ({} s)", passed.as_secs())
}

/// Says what is waited for, with whole seconds until `whole` is over, rounded up.
pub(super) fn until(what: impl Into<String>, whole: Duration) -> impl Fn(Duration) -> String {
    let what = what.into();
    move |passed| {
        let left = whole.saturating_sub(passed).as_millis().div_ceil(1000);
        format!("{what} ({left} s left)")
    }
}

/// The line; cleared at the end, however that comes.
struct Line {
    is_shown: bool,
}

impl Line {
    fn show(&mut self, text: &str) {
        self.is_shown = true;
        // A terminal that is gone is told nothing.
        let _ = write!(io::stderr(), "\r\x1b[K{text}");
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.is_shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_whole() {
        let (passed, whole) = (Duration::from_millis(1200), Duration::from_secs(5));
        assert_eq!(since("asking")(passed), "asking (1 s)");
        assert_eq!(
            until("draining web-1", whole)(passed),
            "draining web-1 (4 s left)"
        );
        assert_eq!(
            until("draining web-1", whole)(whole * 2),
            "draining web-1 (0 s left)"
        );
    }
}
