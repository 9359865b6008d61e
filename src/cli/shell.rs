//! `namebeat completions` and `namebeat man`: what a packager installs beside the program.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory as _};
use clap_complete::Shell;

use super::{Arguments, CommandError};

/// For which shell.
#[derive(clap::Args)]
pub(super) struct CompletionsArguments {
    /// The shell that completes
    shell: Shell,
}

/// Where the pages go.
#[derive(clap::Args)]
pub(super) struct ManArguments {
    /// Command whose page is printed [default: namebeat itself]
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
    /// Write the pages of all commands into this directory
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    out: Option<PathBuf>,
}

/// Prints a completion script.
pub(super) fn completions(arguments: CompletionsArguments) -> Result<(), CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut Arguments::command(),
        "namebeat",
        &mut script,
    );
    // Whoever closes the pipe has read enough.
    let _ = io::stdout().lock().write_all(&script);
    Ok(())
}

/// Prints a page, or writes them all.
pub(super) fn man(arguments: ManArguments) -> Result<(), CommandError> {
    let mut all = Arguments::command();
    all.build();
    if let Some(dir) = arguments.out {
        return Ok(write_all(&all, &dir)?);
    }
    let page = match arguments.command.as_deref() {
        None => page(all.clone())?,
        Some(name) => {
            let known = subcommands(&all).find(|command| command.get_name() == name);
            let known = known.ok_or_else(|| {
                let names: Vec<&str> = subcommands(&all).map(Command::get_name).collect();
                let names = names.join(", ");
                CommandError::Refused(format!("{name:?} is no command; there are {names}"))
            })?;
            page(titled(known))?
        }
    };
    let _ = io::stdout().lock().write_all(&page);
    Ok(())
}

/// Writes `namebeat.1` and `namebeat-COMMAND.1` for each command.
fn write_all(all: &Command, dir: &Path) -> io::Result<()> {
    std::fs::create_dir_all(dir)?;
    std::fs::write(dir.join("namebeat.1"), page(all.clone())?)?;
    for command in subcommands(all) {
        let name = format!("namebeat-{}.1", command.get_name());
        std::fs::write(dir.join(name), page(titled(command))?)?;
    }
    Ok(())
}

/// The commands but for clap's own `help`.
fn subcommands(all: &Command) -> impl Iterator<Item = &Command> {
    let commands = all.get_subcommands();
    commands.filter(|command| command.get_name() != "help")
}

/// A command under the name that its page has.
fn titled(command: &Command) -> Command {
    let name = format!("namebeat-{}", command.get_name());
    let bin_name = format!("namebeat {}", command.get_name());
    command.clone().name(name).bin_name(bin_name)
}

fn page(command: Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    Ok(page)
}
