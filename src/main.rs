//! The `breakeven` command.

fn main() -> std::process::ExitCode {
    breakeven::cli::main()
}
