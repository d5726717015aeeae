//! Conversations with workers, made up, and with other programs.

use super::*;
use crate::scan::protocol::PlatformReport;
use crate::store::SqliteStore;
use tidewaiter_core::report::{DatabaseInfo, ImageInfo, Inventory, Report};
use tidewaiter_scan::cache::LayerCounts;

fn digest(number: u8) -> Digest {
    Digest::from_sha256([number; 32])
}

fn inventory(number: u8) -> Inventory {
    let image = ImageInfo::new("r.example/x:1", digest(number), digest(0), "linux/amd64".parse().unwrap());
    Inventory { image, layers: vec![], os: None, packages: vec![], gaps: vec![] }
}

fn resolved(number: u8) -> WorkerLine {
    let images = vec![("linux/amd64".parse().unwrap(), digest(number))];
    WorkerLine::Resolved(ResolvedImages { digest: digest(1), images, logged_in: false })
}

fn finished(number: u8, with_inventory: bool) -> WorkerLine {
    let report = Report::new(inventory(number), DatabaseInfo::default(), vec![], vec![]);
    let inventory = with_inventory.then(|| inventory(number));
    let results = vec![PlatformReport { platform: "linux/amd64".parse().unwrap(), inventory, signer: None, report }];
    let layers = LayerCounts::default();
    WorkerLine::Finished(ScanResult::Done(ScanOutput {
        digest: digest(1),
        database: String::new(),
        results,
        layers,
        logged_in: false,
    }))
}

fn ended() -> WorkerLine {
    WorkerLine::Ended { status: "signal: 9 (SIGKILL)".into(), last: "last".into() }
}

/// What comes of a worker that says these lines, and what it is told.
async fn conversation(store: SqliteStore, lines: Vec<WorkerLine>) -> (Result<ScanOutput, ScanFailure>, String) {
    let store: Arc<dyn Store> = Arc::new(store);
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    for line in lines {
        theirs.write_all(&serde_json::to_vec(&line).unwrap()).await.unwrap();
        theirs.write_all(b"\n").await.unwrap();
    }
    theirs.shutdown().await.unwrap();
    let result = converse(ours, &store, &ScanJob::for_tests("r.example/x:1")).await;
    let mut told = String::new();
    theirs.read_to_string(&mut told).await.unwrap();
    (result, told)
}

#[tokio::test]
async fn only_what_was_asked_for_is_taken() {
    use WorkerLine::Next;
    let check = async |lines: Vec<WorkerLine>, expected: Result<(), Reason>| {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(dir.path()).unwrap();
        store.put_inventory(&inventory(7)).unwrap();
        let text = format!("{lines:?}");
        let (result, _) = conversation(store, lines).await;
        assert_eq!(result.map(|_| ()).map_err(|failure| failure.reason), expected, "{text}");
    };
    check(vec![resolved(2), Next, finished(2, true), ended()], Ok(())).await;
    check(vec![resolved(7), Next, finished(7, false)], Ok(())).await;
    let bad = Err(Reason::BadScanResult);
    // An inventory that is known is not replaced, and one of another image not stored.
    check(vec![resolved(7), Next, finished(7, true)], bad.clone()).await;
    check(vec![resolved(2), Next, finished(3, true)], bad.clone()).await;
    check(vec![finished(2, true)], bad.clone()).await;
    check(vec![Next], bad.clone()).await;
    check(vec![resolved(2), Next, Next], bad.clone()).await;
    check(vec![resolved(2), Next, resolved(3), finished(3, true)], bad).await;
    check(vec![resolved(2), Next, ended()], Err(Reason::ScannerStopped)).await;
    // The scanner itself was killed.
    check(vec![resolved(2)], Err(Reason::ScannerStopped)).await;
}

/// A scanner whose workers find image 2 for their first job and image 3 for the next; the platforms of these jobs.
async fn two_jobs(scanner: tokio::net::UnixListener) -> Vec<String> {
    let mut asked = Vec::new();
    for number in [2, 3] {
        let mut stream = BufReader::new(scanner.accept().await.unwrap().0);
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        let job: ScanJob = serde_json::from_str(&line).unwrap();
        let platforms: Vec<String> = job.platforms.iter().map(ToString::to_string).collect();
        for line in [resolved(number), WorkerLine::Next, finished(number, true)] {
            let text = serde_json::to_string(&line).unwrap().replace("amd64", &job.platforms[0].architecture);
            stream.write_all(format!("{text}\n").as_bytes()).await.unwrap();
        }
        asked.push(platforms.join(" "));
    }
    asked
}

#[tokio::test]
async fn each_platform_has_a_process_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("socket");
    let scanner = tokio::spawn(two_jobs(tokio::net::UnixListener::bind(&socket).unwrap()));
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(dir.path()).unwrap());
    let mut job = ScanJob::for_tests("r.example/x:1");
    job.platforms.push("linux/arm64".parse().unwrap());
    let output = scan(&WorkerHost::Scanner(socket), &store, &job).await.unwrap();
    let found = output.results.iter().map(|r| (r.platform.to_string(), r.report.inventory.image.digest.clone()));
    assert_eq!(
        found.collect::<Vec<_>>(),
        [("linux/amd64".to_owned(), digest(2)), ("linux/arm64".to_owned(), digest(3))]
    );
    assert_eq!(scanner.await.unwrap(), ["linux/amd64", "linux/arm64"]);
}

/// A scanner whose worker is ended by each job with a cache, and finishes others; whose layers each job used.
async fn ended_by_its_cache(scanner: tokio::net::UnixListener, jobs: usize) -> Vec<bool> {
    let mut asked = Vec::new();
    for _ in 0..jobs {
        let mut stream = BufReader::new(scanner.accept().await.unwrap().0);
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        let job: ScanJob = serde_json::from_str(&line).unwrap();
        asked.push(job.layers_of.is_some());
        let said = if job.layers_of.is_some() {
            vec![resolved(2), ended()]
        } else {
            vec![resolved(2), WorkerLine::Next, finished(2, true)]
        };
        for line in said {
            stream.write_all(format!("{}\n", serde_json::to_string(&line).unwrap()).as_bytes()).await.unwrap();
        }
    }
    asked
}

#[tokio::test]
async fn a_process_that_ended_early_is_tried_without_the_cache() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("socket");
    let scanner = tokio::spawn(ended_by_its_cache(tokio::net::UnixListener::bind(&socket).unwrap(), 2));
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(dir.path()).unwrap());
    let owner = "0b1f7e1e-8a5c-4d9e-9d0c-2f3f4a5b6c7d".to_owned();
    let mut job = ScanJob::for_tests("r.example/x:1");
    job.layers_of = Some(owner.try_into().unwrap());
    scan(&WorkerHost::Scanner(socket), &store, &job).await.unwrap();
    assert_eq!(scanner.await.unwrap(), [true, false]);
}

#[tokio::test]
async fn known_inventories_are_sent() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path()).unwrap();
    store.put_inventory(&inventory(7)).unwrap();
    let (_, told) = conversation(store, vec![resolved(7), WorkerLine::Next]).await;
    let answer = told.lines().nth(1).unwrap();
    assert_eq!(serde_json::from_str::<Option<Inventory>>(answer).unwrap(), Some(inventory(7)));
    let empty = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(empty.path()).unwrap();
    let (_, told) = conversation(store, vec![resolved(7), WorkerLine::Next]).await;
    assert_eq!(told.lines().nth(1), Some("null"));
}

#[test]
fn an_early_end_is_explained() {
    let check = |last: &str, expected: &str| {
        let failure = stopped("signal: 9 (SIGKILL)", last, 512 << 20);
        assert_eq!((failure.reason, failure.message.as_str()), (Reason::ScannerStopped, expected));
    };
    let end = "its memory limit is 512 MiB (--scan-memory)";
    check("", &format!("the scan process ended early (signal: 9 (SIGKILL); ); {end}"));
    check("last", &format!("the scan process ended early (signal: 9 (SIGKILL); last); {end}"));
}

#[tokio::test]
async fn a_process_that_says_nothing_has_stopped() {
    let check = async |program: &str, expected: Reason| {
        let dir = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(dir.path()).unwrap());
        let job = ScanJob::for_tests("r.example/x:1");
        let program = WorkerProgram { path: program.into(), layer_cache: None };
        let failure = run_here(&program, &store, &job).await.unwrap_err();
        assert_eq!(failure.reason, expected, "{}", failure.message);
    };
    check("/bin/true", Reason::ScannerStopped).await;
    check("/bin/false", Reason::ScannerStopped).await;
    // It echoes its argument, which is not a result.
    check("/bin/echo", Reason::ScannerStopped).await;
    check("/does/not/exist", Reason::Internal).await;
}

#[tokio::test]
async fn a_scanner_that_is_away_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("socket");
    let failure = connect(&socket).await.unwrap_err();
    assert_eq!(failure.reason, Reason::ScannerUnreachable);
    assert!(failure.message.contains("the container `scanner`"), "{}", failure.message);
    // One that comes back meanwhile is not away.
    let back = socket.clone();
    let (found, _) = tokio::join!(connect(&socket), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        tokio::net::UnixListener::bind(back)
    });
    assert!(found.is_ok());
}
