//! Jenkins' stage.

use super::*;

#[test]
fn the_stage_writes_a_test_report() {
    let runner = Runner::new();
    let file = read("integrations/jenkins/Jenkinsfile");
    let (_, rest) = file.split_once("sh '''").unwrap();
    let (script, _) = rest.split_once("'''").unwrap();
    // As Groovy reads it.
    let script = script.replace("\\\\", "\\");
    let play_with = |image: &str, release: &str, fail_on: &str, sha256: &str| {
        drop(fs::remove_dir_all(runner.path(".tidewaiter")));
        let mut command = runner.command("sh");
        command.args(["-xec", &script]).env("IMAGE", runner.image(image)).env("FAIL_ON", fail_on);
        command.env("RELEASE", release).env("SHA256", sha256).env("DATABASE", runner.database());
        command.env("TIDEWAITER_DB", runner.path(".tidewaiter/tidewaiter.db"));
        run(&mut command)
    };
    let play = |image: &str, release: &str, fail_on: &str| play_with(image, release, fail_on, "");
    for name in ["IMAGE", "FAIL_ON", "RELEASE", "SHA256", "DATABASE", "TIDEWAITER_DB"] {
        assert!(file.contains(&format!("\n    {name} = ")), "{name} is not set");
    }
    let said = play("clean", &runner.release(), "critical");
    assert_eq!(said.code, 0, "{}", said.text);
    let said = play("bad", &runner.release(), "critical,medium+fixable");
    assert_eq!(said.code, 1, "{}", said.text);
    assert!(runner.file("tidewaiter.xml").contains("<testsuite"));
    assert!(runner.file("tidewaiter.html").contains("</html>"));
    let said = play_with("clean", &runner.release.url("/unlisted"), "critical", &runner.sha256);
    assert_eq!(said.code, 0, "{}", said.text);
    // Not 1, which is a violated policy.
    let refuses = |folder: &str, sha256: &str, why: &str| {
        let said = play_with("clean", &runner.release.url(folder), "critical", sha256);
        assert!(said.code == 3 && said.text.contains(why), "{folder}: {} {}", said.code, said.text);
        assert!(!runner.path(".tidewaiter/kubectl-scan").exists(), "{folder}: {}", said.text);
    };
    refuses("/forged", "", "is not what its checksum says");
    refuses("/forged", &runner.sha256, "is not what its checksum says");
    refuses("/unlisted", &"0".repeat(64), "is not what its checksum says");
    refuses("/unlisted", "", "SHA256SUMS has no checksum of");
    refuses("/missing", "", "cannot be downloaded");
}
