//! Prints the numbers that copex holds itself to, beside its rivals; see [`mod@copex_tests::bench`].

use std::process::ExitCode;

fn main() -> ExitCode {
    copex_tests::bench::main()
}
