//! `namebeat state`.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use namebeat::config::{Config, Settings};
use namebeat::registry::state::{self, Report};

use super::CommandError;

/// What to do with the state.
#[derive(clap::Args)]
pub(super) struct StateArguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Read all of the state, and say whether it's sound
    Verify(Place),
    /// Print the state, a JSON object a line
    Dump {
        #[command(flatten)]
        place: Place,
        /// Print what is before a damage, too
        #[arg(long)]
        until_damage: bool,
    },
    /// Make a state of what `dump` has printed, in an empty directory
    Restore {
        #[command(flatten)]
        place: Place,
        /// File to read [default: standard input]
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

/// Where the state is.
#[derive(clap::Args)]
struct Place {
    /// File of settings [default: namebeat.toml, when it's there]
    #[arg(long, env = "NAMEBEAT_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory of the state [default: $XDG_STATE_HOME/namebeat, or ~/.local/state/namebeat]
    #[arg(long, env = "NAMEBEAT_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// File of the keys that the state is sealed with
    #[arg(long, env = "NAMEBEAT_KEY_FILE", value_name = "FILE")]
    key_file: Option<PathBuf>,
}

/// Does it. What is found goes to stdout, of `dump` to stderr.
pub(super) fn run(arguments: StateArguments) -> Result<(), CommandError> {
    match arguments.action {
        Action::Verify(place) => {
            let (dir, keys) = place.known()?;
            let report = state::verify(&dir, keys.as_deref())?;
            // Whoever closes the pipe has read enough.
            let _ = writeln!(std::io::stdout(), "{}", summary(&dir, &report));
        }
        Action::Dump {
            place,
            until_damage,
        } => {
            let (dir, keys) = place.known()?;
            let mut out = BufWriter::new(std::io::stdout().lock());
            let (report, damage) = state::dump(&dir, keys.as_deref(), until_damage, &mut out)?;
            out.flush()?;
            eprintln!("{}", summary(&dir, &report));
            if let Some(damage) = damage {
                eprintln!("namebeat: warning: this is what was before the damage: {damage}");
            }
        }
        Action::Restore { place, file } => {
            let (dir, keys) = place.known()?;
            let report = match file {
                Some(file) => {
                    state::restore(&dir, keys.as_deref(), BufReader::new(File::open(file)?))?
                }
                None => state::restore(&dir, keys.as_deref(), std::io::stdin().lock())?,
            };
            let _ = writeln!(std::io::stdout(), "{}", summary(&dir, &report));
        }
    }
    Ok(())
}

impl Place {
    /// The directory and the key file that a server with these settings has.
    fn known(self) -> Result<(PathBuf, Option<PathBuf>), CommandError> {
        let given = Settings {
            data_dir: self.data_dir,
            key_file: self.key_file,
            ephemeral: Some(false),
            ..Settings::default()
        };
        let config = Config::new(given.over(Settings::read(self.config.as_deref())?))?;
        // Where something is kept there is one.
        Ok((config.data_dir.unwrap_or_default(), config.key_file))
    }
}

fn summary(dir: &Path, report: &Report) -> String {
    let Report {
        instances,
        records,
        torn,
    } = report;
    let dir = dir.display();
    let torn = match torn {
        0 => String::new(),
        torn => format!(", and {torn} octets at its end that weren't written whole"),
    };
    format!("{dir}: {instances} instances in {records} records{torn}")
}
