//! The program `tidewaiter`; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    tidewaiter::main()
}
