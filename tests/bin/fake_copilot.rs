//! A Copilot CLI that misbehaves on demand; see [`copex_tests::fake_copilot`].

use std::process::ExitCode;

fn main() -> ExitCode {
    copex_tests::fake_copilot::main()
}
