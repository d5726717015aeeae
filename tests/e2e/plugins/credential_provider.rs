//! A plugin of kubelets' credential providers, for stories: it gives the login of its environment for the registry of its
//! environment, and fails for every other one.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a plugin answers on its standard output")]

use std::io::Read as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let mut request = String::new();
    let (host, asked) = (variable("STORY_HOST"), std::io::stdin().read_to_string(&mut request));
    let wanted = format!("\"image\":\"{host}/");
    if asked.is_err() || !request.contains("CredentialProviderRequest") || !request.contains(&wanted) {
        eprintln!("no login for {request}");
        return ExitCode::FAILURE;
    }
    let (user, password) = (variable("STORY_USER"), variable("STORY_PASSWORD"));
    println!(
        r#"{{"apiVersion":"credentialprovider.kubelet.k8s.io/v1","kind":"CredentialProviderResponse","cacheKeyType":"Registry","auth":{{"{host}":{{"username":"{user}","password":"{password}"}}}}}}"#
    );
    ExitCode::SUCCESS
}
