//! The daemon under its own crate's `main`, so that `CARGO_BIN_EXE_*` works in this package.

fn main() -> std::process::ExitCode {
    copexd::main()
}
