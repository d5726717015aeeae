//! All targets behind one entry: the first byte chooses.
#![no_main]

use tidewaiter_fuzz::TARGETS;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some((first, rest)) = bytes.split_first() {
        let (_, _, run) = TARGETS[usize::from(*first) % TARGETS.len()];
        run(rest);
    }
});
