//! `kubectl scan exception`: findings that people accept in a namespace.

use crate::args::{ExceptionArgs, ExceptionCommand, RequestArgs};
use crate::cluster::{self, Cluster};
use crate::exit::{Exit, UsageError};
use crate::render;
use crate::terminal::printable;
use anyhow::{Context as _, Result};
use jiff::Zoned;
use jiff::tz::TimeZone;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt as _};
use serde_json::json;
use std::io::{self, Write as _};
use tidewaiter_crd::ScanException;
use tidewaiter_crd::exception::ScanExceptionSpec;

/// Runs one of its commands.
pub(crate) fn run(args: &ExceptionArgs) -> Result<Exit> {
    match &args.command {
        ExceptionCommand::Request(request) => self::request(request),
        ExceptionCommand::Approve { name, cluster } => {
            let cluster = cluster::with_tidewaiter(cluster)?;
            cluster.run(approve(&cluster, name))
        }
        ExceptionCommand::List { cluster } => {
            let cluster = cluster::with_tidewaiter(cluster)?;
            cluster.run(list(&cluster))
        }
    }
}

fn request(args: &RequestArgs) -> Result<Exit> {
    if args.until <= Zoned::now().with_time_zone(TimeZone::UTC).date() {
        return Err(UsageError(format!("--until {} has passed; name a later day", args.until)).into());
    }
    let cluster = cluster::with_tidewaiter(&args.cluster)?;
    cluster.run(async {
        let spec = ScanExceptionSpec {
            vulnerabilities: args.vulnerabilities.clone(),
            packages: args.packages.clone(),
            images: args.images.clone(),
            reason: args.reason.clone(),
            expires: args.until.to_string(),
            until_fixed: args.until_fixed,
            requested_by: cluster.user_name().await?,
            approved_by: None,
        };
        let api: Api<ScanException> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
        let created = api.create(&PostParams::default(), &ScanException::new(&args.name, spec)).await;
        created.with_context(|| format!("requesting the exception {}", args.name))?;
        writeln!(
            io::stdout(),
            "exception {} requested; another person approves it: kubectl scan exception approve {} -n {}",
            args.name,
            args.name,
            cluster.namespace
        )?;
        Ok(Exit::Clean)
    })
}

async fn approve(cluster: &Cluster, name: &str) -> Result<Exit> {
    let by = cluster.user_name().await?;
    let api: Api<ScanException> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let found = api.get(name).await.with_context(|| format!("reading the exception {name}"))?;
    let mut out = io::stdout();
    if let Some(before) = &found.spec.approved_by {
        writeln!(out, "exception {name} is already approved by {}", printable(before))?;
        return Ok(Exit::Clean);
    }
    write!(out, "{}", described(&found))?;
    // Of the object that was read: what is approved is what was shown.
    let patch = json!([
        {"op": "test", "path": "/metadata/uid", "value": found.uid()},
        {"op": "add", "path": "/spec/approvedBy", "value": by},
    ]);
    let patch: Patch<()> = Patch::Json(serde_json::from_value(patch)?);
    let approved = api.patch(name, &PatchParams::default(), &patch).await;
    approved.with_context(|| format!("approving the exception {name}"))?;
    writeln!(out, "exception {name} approved by {}", printable(&by))?;
    Ok(Exit::Clean)
}

/// What is approved, for whoever approves it.
fn described(object: &ScanException) -> String {
    let spec = &object.spec;
    let all = |texts: &[String], every: &str| match texts {
        [] => every.to_owned(),
        some => printable(some.join(", ")),
    };
    format!(
        "vulnerabilities  {}\npackages         {}\nimages           {}\nreason           {}\nuntil            {}{}\n\
         requested by     {}\n",
        printable(spec.vulnerabilities.join(", ")),
        all(&spec.packages, "every package"),
        all(&spec.images, "every image of the namespace"),
        printable(&spec.reason),
        until(object),
        if spec.until_fixed { ", or until there is a fix" } else { "" },
        printable(&spec.requested_by),
    )
}

async fn list(cluster: &Cluster) -> Result<Exit> {
    let api: Api<ScanException> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let all = api.list(&ListParams::default()).await.context("listing ScanExceptions")?.items;
    write!(io::stdout(), "{}", table(&all))?;
    Ok(Exit::Clean)
}

fn table(all: &[ScanException]) -> String {
    if all.is_empty() {
        return "no exceptions in this namespace\n".to_owned();
    }
    let head = [
        "NAME",
        "STATE",
        "UNTIL",
        "VULNERABILITIES",
        "PACKAGES",
        "IMAGES",
        "REQUESTED BY",
        "APPROVED BY",
        "USED BY",
        "REASON",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(all.iter().map(row));
    render::columns(&rows)
}

fn row(object: &ScanException) -> [String; 10] {
    let (spec, status) = (&object.spec, object.status.clone().unwrap_or_default());
    let images = status.used_by.len();
    [
        printable(object.name_any()),
        format!("{:?}", status.state),
        until(object),
        printable(spec.vulnerabilities.join(",")),
        all_or(&spec.packages),
        all_or(&spec.images),
        printable(&spec.requested_by),
        spec.approved_by.as_ref().map_or_else(|| "-".to_owned(), printable),
        format!("{images} image{}", if images == 1 { "" } else { "s" }),
        printable(&spec.reason),
    ]
}

/// The day on which it ends, and the one that it names where policy ends it before.
fn until(object: &ScanException) -> String {
    match object.status.as_ref().and_then(|status| status.ends_by_policy.as_ref()) {
        Some(day) => printable(format!("{day} (by policy; requested until {})", object.spec.expires)),
        None => printable(&object.spec.expires),
    }
}

fn all_or(texts: &[String]) -> String {
    if texts.is_empty() { "all".to_owned() } else { printable(texts.join(",")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table() {
        assert_eq!(table(&[]), "no exceptions in this namespace\n");
        let object: ScanException = serde_json::from_value(json!({
            "apiVersion": "tidewaiter.dev/v1alpha1", "kind": "ScanException", "metadata": {"name": "hw"},
            "spec": {"vulnerabilities": ["CVE-1", "CVE-2"], "reason": "not loaded", "expires": "2026-12-31",
                "requestedBy": "ann", "approvedBy": "bob"},
            "status": {"state": "Active", "usedBy": ["r/app:v1"]}
        }))
        .unwrap();
        let mut limited = object.clone();
        limited.status.as_mut().unwrap().ends_by_policy = Some("2026-06-30".to_owned());
        assert!(described(&limited).contains("until            2026-06-30 (by policy; requested until 2026-12-31)\n"));
        insta::assert_snapshot!(described(&object) + &table(&[object, limited]));
    }
}
