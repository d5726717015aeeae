//! The target that `FUZZ_TARGET` names, under libFuzzer. `FUZZ_SEED=FILE` writes its sound input there first.
#![no_main]
#![allow(clippy::print_stderr, reason = "a program for developers")]

use std::sync::OnceLock;
use tidewaiter_fuzz::{Target, targets};

fn chosen() -> &'static Target {
    static CHOSEN: OnceLock<&'static Target> = OnceLock::new();
    CHOSEN.get_or_init(|| {
        let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
        targets().find(|(known, ..)| *known == name).unwrap_or_else(|| {
            let known: Vec<_> = targets().map(|(known, ..)| *known).collect();
            eprintln!("FUZZ_TARGET names none of: {}", known.join(" "));
            std::process::exit(2)
        })
    })
}

libfuzzer_sys::fuzz_target!(
    init: {
        let (_, seed, _) = chosen();
        if let Some(file) = std::env::var_os("FUZZ_SEED") {
            std::fs::write(file, seed()).expect("FUZZ_SEED can be written");
        }
    },
    |bytes: &[u8]| {
        let (_, _, run) = chosen();
        run(bytes);
    }
);
