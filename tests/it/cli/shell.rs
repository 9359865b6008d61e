//! Completions and manual pages: of all commands, and taken by what reads them.

use std::process::Command;

use super::run;
use crate::harness::TempDir;

const COMMANDS: [&str; 19] = [
    "serve",
    "check-config",
    "check-zone",
    "register",
    "deregister",
    "drain",
    "resume",
    "exec",
    "services",
    "instances",
    "watch",
    "stats",
    "explain",
    "state",
    "resolve",
    "doctor",
    "completions",
    "man",
    "help",
];

#[test]
fn help_names_every_command_and_exit_code() {
    let directory = TempDir::new("shell");
    let ended = run(&directory, &["--help"], &[]);
    for command in COMMANDS {
        let line = format!("\n  {command} ");
        assert!(ended.stdout.contains(&line), "{command}: {}", ended.stdout);
    }
    for code in [0, 1, 2, 3, 9] {
        assert!(
            ended.stdout.contains(&format!("\n  {code}    ")),
            "{}",
            ended.stdout
        );
    }
}

#[test]
fn completions_complete() {
    let directory = TempDir::new("shell");
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ended = run(&directory, &["completions", shell], &[]);
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
        for word in ["deregister", "ready-port", "zone-file"] {
            assert!(ended.stdout.contains(word), "{shell} has no {word}");
        }
        directory.write(shell, &ended.stdout);
    }
    let ended = run(&directory, &["completions", "ksh"], &[]);
    assert_eq!(ended.code, Some(2));
    // bash itself: what comes after `namebeat dr` and Tab.
    let script = "source ./bash; COMP_WORDS=(namebeat dr); COMP_CWORD=1; _namebeat namebeat dr namebeat; echo \"${COMPREPLY[@]}\"";
    let output = Command::new("bash")
        .args(["-c", script])
        .current_dir(directory.path())
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "drain\n",
        "{output:?}"
    );
}

#[test]
fn every_command_has_its_page() {
    let directory = TempDir::new("shell");
    let ended = run(&directory, &["man", "--out", "man1"], &[]);
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    let page = |name: &str| {
        let path = directory.path().join("man1").join(name);
        std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    assert!(page("namebeat.1").contains("Exit codes"));
    for command in COMMANDS.into_iter().filter(|command| *command != "help") {
        let written = page(&format!("namebeat-{command}.1"));
        assert!(written.contains(".TH"), "{command}");
        let printed = run(&directory, &["man", command], &[]);
        assert_eq!(printed.stdout, written, "{command}");
    }
    let main = run(&directory, &["man"], &[]);
    assert_eq!(main.stdout, page("namebeat.1"));
    let wrong = run(&directory, &["man", "nope"], &[]);
    wrong.assert_one_line(2, &["\"nope\" is no command", "resolve"]);
}
