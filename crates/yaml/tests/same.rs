//! Values and errors are those of `serde_saphyr`, for every kind of type that serde knows.

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Debug;

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Strict {
    name: String,
    letter: Option<char>,
    #[serde(default)]
    count: u8,
    offset: Option<i64>,
    ratio: Option<f32>,
    is_there: Option<bool>,
    nothing: Option<()>,
    pair: Option<(u16, String)>,
    inner: Option<Box<Strict>>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Variant {
    Unit,
    Newtype(Text),
    Tuple(u8, String),
    Fields { a: u8, b: Option<String> },
}

#[derive(Debug, PartialEq, Deserialize)]
struct Text(String);

#[derive(Debug, PartialEq, Deserialize)]
struct Flat {
    name: String,
    #[serde(flatten)]
    other: BTreeMap<String, Value>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum Either {
    Number(u64),
    Texts(Vec<String>),
    Map(BTreeMap<String, Variant>),
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    One { value: u8 },
    Two,
}

#[derive(Debug, Deserialize)]
struct Partial {
    kept: Vec<String>,
    #[serde(rename = "dropped")]
    _dropped: IgnoredAny,
}

/// Reads a document both ways, and says whether it could be read.
fn same<T: DeserializeOwned + Debug>(text: &str) -> bool {
    let ours = tidewaiter_yaml::from_str::<T>(text);
    let theirs = serde_saphyr::from_str::<T>(text);
    let of_bytes = tidewaiter_yaml::from_slice::<T>(text.as_bytes());
    let (is_read, theirs) = (theirs.is_ok(), shown(theirs));
    assert_eq!((shown(ours), shown(of_bytes)), (theirs.clone(), theirs), "{text}");
    let ours = tidewaiter_yaml::from_multiple::<T>(text);
    assert_eq!(shown(ours), shown(serde_saphyr::from_multiple::<T>(text)), "{text}");
    is_read
}

fn shown<T: Debug>(result: Result<T, tidewaiter_yaml::Error>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(error) => format!("{error}, at {:?}", error.location()),
    }
}

#[track_caller]
fn reads<T: DeserializeOwned + Debug>(text: &str) {
    assert!(same::<T>(text), "{text}");
}

#[track_caller]
fn refuses<T: DeserializeOwned + Debug>(text: &str) {
    assert!(!same::<T>(text), "{text}");
}

#[test]
fn plain_values_keep_their_text_where_a_text_is_asked_for() {
    for text in ["1.10", "010", "0x1f", "yes", "2026-01-01", "1e3", "\"1\"", "'~'", "a: b # c", "|\n  a\n  b\n", ".nan"]
    {
        same::<String>(text);
        same::<Value>(text);
        same::<Vec<String>>(&format!("- {text}\n- 2"));
        same::<BTreeMap<String, Value>>(&format!("{text}: 1"));
    }
    reads::<String>("1.10");
    assert_eq!(tidewaiter_yaml::from_str::<Vec<String>>("[1.10, 007, yes]").unwrap(), ["1.10", "007", "yes"]);
}

#[test]
fn numbers_of_each_width() {
    for text in ["0", "-1", "255", "256", "-129", "70000", "18446744073709551616", "1.5", "x", "true", "~", "", "'5'"] {
        same::<u8>(text);
        same::<u16>(text);
        same::<u32>(text);
        same::<u64>(text);
        same::<u128>(text);
        same::<i8>(text);
        same::<i16>(text);
        same::<i32>(text);
        same::<i64>(text);
        same::<i128>(text);
        same::<f32>(text);
        same::<f64>(text);
        same::<bool>(text);
        same::<char>(text);
        same::<()>(text);
        same::<Option<u8>>(text);
    }
}

#[test]
fn structures() {
    reads::<Strict>("name: a");
    reads::<Strict>("{name: 1.10, letter: x, count: 3, offset: -4, ratio: .5, isThere: yes, nothing: ~, pair: [1, b]}");
    reads::<Strict>("name: a\ninner:\n  name: b\n  inner: {name: c}");
    reads::<Strict>("name: a\ninner: &b {name: b, count: 1}\n");
    refuses::<Strict>("");
    refuses::<Strict>("name: [a]");
    refuses::<Strict>("count: 3");
    refuses::<Strict>("name: a\ncount: 300");
    refuses::<Strict>("name: a\ncount: -3");
    refuses::<Strict>("name: a\ninner:\n  name: b\n  nmae: c");
    refuses::<Strict>("name: a\nname: b");
    refuses::<Strict>("name: ~");
    refuses::<Strict>("name: a\npair: [1]");
    refuses::<Strict>("name: a\npair: [1, b, c]");
    refuses::<Strict>("name: a\ninner: [b]");
    refuses::<Strict>("- name: a");
    refuses::<Strict>("name: a\nletter: long");
}

#[test]
fn variants() {
    reads::<Vec<Variant>>("- unit\n- newtype: 1.10\n- tuple: [1, a]\n- fields: {a: 1}\n- fields:\n    a: 1\n    b: x");
    for text in ["other", "unit: 1", "newtype", "tuple: [1]", "fields: {b: x}", "fields: {a: x}", "[unit]", "1"] {
        refuses::<Variant>(text);
    }
    reads::<Tagged>("kind: One\nvalue: 1");
    reads::<Tagged>("kind: Two");
    refuses::<Tagged>("kind: Three");
    refuses::<Tagged>("value: 1");
    refuses::<Tagged>("kind: One\nvalue: a");
}

#[test]
fn what_serde_buffers() {
    reads::<Flat>("name: a\nother: 1.10\nmore: [yes, ~]");
    refuses::<Flat>("other: 1");
    refuses::<Flat>("name: {a: 1}");
    reads::<Either>("5");
    reads::<Either>("[a, b]");
    reads::<Either>("a: unit\nb: {newtype: x}");
    refuses::<Either>("a: other");
}

#[test]
fn anchors_and_merges() {
    reads::<BTreeMap<String, Value>>("a: &x {b: 1}\nc: *x\nd:\n  <<: *x\n  e: 2");
    reads::<BTreeMap<String, BTreeMap<String, String>>>("a: &x {b: 1}\nd: {<<: *x, e: 2}");
    reads::<Vec<String>>("- &a 1.10\n- *a");
    refuses::<Vec<String>>("- *unknown");
    refuses::<Vec<u8>>("- &a x\n- *a");
}

#[test]
fn what_nobody_asks_for_is_skipped() {
    assert_eq!(tidewaiter_yaml::from_str::<Partial>("kept: [a]\ndropped: {b: [c]}").unwrap().kept, ["a"]);
    reads::<BTreeMap<String, Value>>("a:\n  - {b: c}\n");
    refuses::<Partial>("kept: [a]");
    refuses::<Partial>("kept: [a]\ndropped: [b");
}

#[test]
fn text_is_borrowed() {
    let text = "[plain, other]".to_owned();
    let found: Vec<&str> = tidewaiter_yaml::from_str(&text).unwrap();
    assert_eq!(found, ["plain", "other"]);
    assert!(text.as_bytes().as_ptr_range().contains(&found[0].as_ptr()));
}

#[test]
fn several_documents() {
    reads::<BTreeMap<String, Value>>("a: 1");
    for text in ["a: 1\n---\nb: 2", "---\n---\na: 1", "a: 1\n---\n[", "a: 1\n...\n", "", "# only a comment", "---\n"] {
        same::<BTreeMap<String, u8>>(text);
        same::<Option<Strict>>(text);
        same::<Value>(text);
    }
    assert_eq!(tidewaiter_yaml::from_multiple::<BTreeMap<String, u8>>("a: 1\n---\nb: 2").unwrap().len(), 2);
}

#[test]
fn what_is_no_yaml() {
    for text in ["[a", "a: b: c", "\t- a", "{a: 1", "a: 'b", "%YAML x", "a:\n - b\n c", "\u{0}"] {
        refuses::<BTreeMap<String, Vec<String>>>(text);
    }
    let error = |text: &[u8]| tidewaiter_yaml::from_slice::<Value>(text).unwrap_err().to_string();
    assert_eq!(error(b"\xff"), serde_saphyr::from_slice::<Value>(b"\xff").unwrap_err().to_string());
}

/// Threads have two megabytes, and a debug build takes the most of them.
#[test]
fn the_deepest_documents_fit_into_a_thread() {
    let nested = |depth: usize| format!("{}1{}", "{a: ".repeat(depth), "}".repeat(depth));
    let deepest = move || {
        reads::<Value>(&nested(60));
        for depth in [63, 64, 65, 1000] {
            same::<Value>(&nested(depth));
        }
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(deepest).unwrap().join().unwrap();
}
