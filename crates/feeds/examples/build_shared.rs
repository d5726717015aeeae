//! temp
use tidewaiter_db::meta::FeedInfo;
use tidewaiter_feeds::build;
use tidewaiter_feeds::config::FeedsConfig;
use tidewaiter_feeds::options::{BuildOptions, BuildProgress};
struct Quiet;
impl BuildProgress for Quiet {
    fn feed_started(&self, _: &str, _: &str) {}
    fn downloaded(&self, _: &str, _: u64, _: Option<u64>) {}
    fn feed_done(&self, _: &FeedInfo) {}
}
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let text = std::fs::read_to_string(&args[1]).unwrap();
    let config = FeedsConfig::parse(&text, std::path::Path::new(&args[1])).unwrap();
    let out = std::path::PathBuf::from(&args[2]);
    let dl = std::path::PathBuf::from(&args[3]);
    let meta = build::build(&BuildOptions {
        config: &config,
        out: &out,
        downloads: &dl,
        now: "2026-01-01T00:00:00Z".parse().unwrap(),
        max_loss: 0.1,
        progress: &Quiet,
    })
    .unwrap();
    std::fs::write(format!("{}.meta", args[2]), format!("{meta:#?}")).unwrap();
}
