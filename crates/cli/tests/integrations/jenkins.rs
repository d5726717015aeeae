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
    let play = |image: &str, release: &str, fail_on: &str| {
        drop(fs::remove_dir_all(runner.path(".tidewaiter")));
        let mut command = runner.command("sh");
        command.args(["-xec", &script]).env("IMAGE", runner.image(image)).env("FAIL_ON", fail_on);
        command.env("RELEASE", release).env("DATABASE", runner.database());
        command.env("TIDEWAITER_DB", runner.path(".tidewaiter/tidewaiter.db"));
        run(&mut command)
    };
    for name in ["IMAGE", "FAIL_ON", "RELEASE", "DATABASE", "TIDEWAITER_DB"] {
        assert!(file.contains(&format!("\n    {name} = ")), "{name} is not set");
    }
    let said = play("clean", &runner.release(), "critical");
    assert_eq!(said.code, 0, "{}", said.text);
    let said = play("bad", &runner.release(), "critical,medium+fixable");
    assert_eq!(said.code, 1, "{}", said.text);
    assert!(runner.file("tidewaiter.xml").contains("<testsuite"));
    assert!(runner.file("tidewaiter.html").contains("</html>"));
    for folder in ["/forged", "/unlisted", "/missing"] {
        let said = play("clean", &runner.release.url(folder), "critical");
        assert!(said.code != 0 && !runner.path(".tidewaiter/kubectl-scan").exists(), "{folder}: {}", said.text);
    }
}
