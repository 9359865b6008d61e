//! The program that `exec` runs: a child in a process group of its own, so that ctrl-c on
//! a terminal reaches namebeat alone, which leaves first and passes it on then.
//!
//! As PID 1 of a container, namebeat is also the parent of what the program leaves behind:
//! whatever ends is reaped, and no zombie stays.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode, Stdio};

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};
use tokio::signal::unix::{self, SignalKind};

use crate::cli::CommandError;

/// Added to a signal's number for an exit code, as shells do.
const SIGNALLED: i32 = 128;

/// A program that was started.
#[derive(Debug)]
pub(super) struct App {
    /// Its process, and its process group.
    pid: Pid,
    ended: Option<Ended>,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Ended(i32);

impl Ended {
    fn new(status: WaitStatus) -> Self {
        let signal = status.terminating_signal().map(|signal| SIGNALLED + signal);
        // One of both is there when a process has ended.
        Self(status.exit_status().or(signal).unwrap_or(1))
    }

    /// The exit code that a shell would give.
    pub(super) fn exit_code(self) -> ExitCode {
        u8::try_from(self.0).map_or(ExitCode::FAILURE, ExitCode::from)
    }
}

impl App {
    /// Starts a program with its arguments. It has the input and output of this process,
    /// but for a terminal's input: only the group in front may read that.
    pub(super) fn start(command: &[OsString]) -> Result<Self, CommandError> {
        let [program, arguments @ ..] = command else {
            return Err(CommandError::Refused("no command is given".to_owned()));
        };
        let mut command = Command::new(program);
        command.args(arguments).process_group(0);
        if io::stdin().is_terminal() {
            command.stdin(Stdio::null());
        }
        let failed = |error| CommandError::Program {
            program: program.to_string_lossy().into_owned(),
            error,
        };
        let child = command.spawn().map_err(failed)?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| failed(io::Error::other("it has no process id")))?;
        Ok(Self { pid, ended: None })
    }

    /// Sends a signal to its process group. One that has ended gets none.
    pub(super) fn signal(&self, signal: Signal) {
        if self.ended.is_none() {
            // The group may have ended just now, which is found at the next reaping.
            let _ = rustix::process::kill_process_group(self.pid, signal);
        }
    }

    /// Reaps what has ended, this program or, as PID 1, whatever it left behind.
    pub(super) fn reap(&mut self) -> Option<Ended> {
        // An error is that there's no child any more.
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            if pid == self.pid {
                self.ended = Some(Ended::new(status));
            }
        }
        self.ended
    }
}

/// A signal that came, and what's to be done about it.
#[derive(Clone, Copy, Debug)]
enum Came {
    /// A child has ended.
    Child,
    /// It's for the program alone.
    PassOn(Signal),
    /// Leave, then pass it on.
    Stop(Signal),
}

/// The signals that aren't left to their default action.
#[derive(Debug)]
pub(super) struct Signals {
    child: unix::Signal,
    others: [(unix::Signal, Came); 7],
}

impl Signals {
    /// Takes them from now on.
    pub(super) fn new() -> io::Result<Self> {
        let taken = |kind, came| unix::signal(kind).map(|signal| (signal, came));
        Ok(Self {
            child: unix::signal(SignalKind::child())?,
            others: [
                taken(SignalKind::terminate(), Came::Stop(Signal::TERM))?,
                taken(SignalKind::interrupt(), Came::Stop(Signal::INT))?,
                taken(SignalKind::quit(), Came::Stop(Signal::QUIT))?,
                taken(SignalKind::hangup(), Came::PassOn(Signal::HUP))?,
                taken(SignalKind::user_defined1(), Came::PassOn(Signal::USR1))?,
                taken(SignalKind::user_defined2(), Came::PassOn(Signal::USR2))?,
                taken(SignalKind::window_change(), Came::PassOn(Signal::WINCH))?,
            ],
        })
    }

    /// The next one. Dropping the call loses none.
    async fn next(&mut self) -> Came {
        std::future::poll_fn(|context| {
            for (signal, came) in &mut self.others {
                if signal.poll_recv(context).is_ready() {
                    return std::task::Poll::Ready(*came);
                }
            }
            self.child.poll_recv(context).map(|_| Came::Child)
        })
        .await
    }
}

/// What ends a stage.
#[derive(Clone, Copy, Debug)]
pub(super) enum Turn {
    /// The program has ended.
    Ended(Ended),
    /// It's to stop, by this signal.
    Stop(Signal),
}

/// A program and the signals that come meanwhile.
#[derive(Debug)]
pub(super) struct Supervisor {
    pub(super) app: App,
    pub(super) signals: Signals,
}

impl Supervisor {
    /// Waits until the program has ended or is to stop; passes other signals on. Dropping
    /// the call loses nothing.
    pub(super) async fn turn(&mut self) -> Turn {
        loop {
            if let Some(ended) = self.app.reap() {
                return Turn::Ended(ended);
            }
            match self.signals.next().await {
                Came::Child => {}
                Came::PassOn(signal) => self.app.signal(signal),
                Came::Stop(signal) => return Turn::Stop(signal),
            }
        }
    }
}
