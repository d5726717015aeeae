//! The program `tidewaiter`; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Here and not in a library: only this crate is compiled with the flag of a static program.
    if cfg!(target_feature = "crt-static") {
        tidewaiter_http::names::resolve_by_files_and_dns();
    }
    tidewaiter::main()
}
