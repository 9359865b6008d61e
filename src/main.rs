//! The `namebeat` program: arguments in, exit code out.

mod cli;

/// The whole program's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::run()
}
