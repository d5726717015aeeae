//! `kubectl scan rollback`: back to an earlier template of a Deployment. `kubectl rollout undo` refuses that for one that is
//! paused, as a held one is, and knows nothing of templates that were held and never ran.

use crate::args::RollbackArgs;
use crate::built_in::BuiltInKind;
use crate::cluster;
use crate::exit::{Exit, UsageError};
use crate::terminal::printable;
use crate::workload::{DEPLOYMENT, WorkloadName};
use anyhow::{Context as _, Result, bail};
use kube::ResourceExt as _;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use std::io::Write as _;

/// Where the Deployment controller numbers its revisions.
const REVISION: &str = "deployment.kubernetes.io/revision";
/// What the Deployment controller adds to the labels of a template.
const TEMPLATE_HASH: &str = "pod-template-hash";

/// Sets the template; admission ends the hold in the same request, or a new one begins.
pub(crate) fn run(args: &RollbackArgs) -> Result<Exit> {
    let workload = WorkloadName::parse(&args.workload)?;
    if workload.kind != DEPLOYMENT {
        let text =
            format!("only Deployments are paused while they are held; for others: kubectl rollout undo {workload}");
        return Err(UsageError(text).into());
    }
    let cluster = cluster::with_tidewaiter(&args.cluster)?;
    cluster.run(async {
        let deployments = BuiltInKind::Deployment.api(&cluster.client, Some(&cluster.namespace));
        let deployment = deployments.get(workload.name).await.with_context(|| format!("reading {workload}"))?;
        let sets = BuiltInKind::ReplicaSet.api(&cluster.client, Some(&cluster.namespace));
        let sets = sets.list(&ListParams::default()).await.context("listing ReplicaSets")?.items;
        let target = target(&deployment, &sets, args.to_revision)?;
        let patch = json!([
            {"op": "test", "path": "/metadata/uid", "value": deployment.uid()},
            {"op": "test", "path": "/metadata/generation", "value": deployment.metadata.generation},
            {"op": "replace", "path": "/spec/template", "value": target.template},
        ]);
        let patch: Patch<()> = Patch::Json(serde_json::from_value(patch)?);
        let changed = deployments.patch(workload.name, &PatchParams::default(), &patch).await;
        let changed = changed.with_context(|| format!("changing {workload}"))?;
        let paused = changed.data.pointer("/spec/paused").and_then(Value::as_bool).unwrap_or_default();
        let state = if paused { "paused until its images are decided about" } else { "rolling out" };
        let images: Vec<String> = target.images().iter().map(printable).collect();
        writeln!(
            std::io::stdout(),
            "{workload} rolled back to revision {} ({}), {state}",
            target.revision,
            images.join(", ")
        )?;
        Ok(Exit::Clean)
    })
}

/// An earlier template of a Deployment.
#[derive(Debug, Clone, PartialEq)]
struct EarlierTemplate {
    revision: i64,
    /// As the API server has it, with fields that are newer than this program.
    template: Value,
}

impl EarlierTemplate {
    fn of(set: &DynamicObject) -> Option<Self> {
        let revision = set.annotations().get(REVISION)?.parse().ok()?;
        let mut template = set.data.pointer("/spec/template")?.clone();
        if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
            labels.remove(TEMPLATE_HASH);
        }
        Some(EarlierTemplate { revision, template })
    }

    fn images(&self) -> Vec<String> {
        let containers = self.template.pointer("/spec/containers").and_then(Value::as_array);
        containers
            .into_iter()
            .flatten()
            .filter_map(|container| container["image"].as_str().map(str::to_owned))
            .collect()
    }
}

/// The template to go back to: of the named revision, else of the newest one that is not the current template.
fn target(deployment: &DynamicObject, sets: &[DynamicObject], named: Option<i64>) -> Result<EarlierTemplate> {
    let uid = deployment.uid();
    let own = sets.iter().filter(|set| set.owner_references().iter().any(|owner| Some(&owner.uid) == uid.as_ref()));
    let mut earlier: Vec<EarlierTemplate> = own.filter_map(EarlierTemplate::of).collect();
    earlier.sort_by_key(|template| std::cmp::Reverse(template.revision));
    let known: Vec<String> = earlier.iter().map(|template| template.revision.to_string()).collect();
    let found = match named {
        Some(named) => earlier.into_iter().find(|template| template.revision == named),
        None => {
            let current = deployment.data.pointer("/spec/template");
            earlier.into_iter().find(|template| Some(&template.template) != current)
        }
    };
    match (found, named) {
        (Some(found), _) => Ok(found),
        (None, Some(named)) => bail!("there is no revision {named}; there are: {}", known.join(", ")),
        (None, None) => bail!(
            "deployment/{} never ran another template; set an image that policy allows: kubectl set image deployment/{0} …",
            printable(deployment.name_any())
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::from_value;

    fn template(image: &str, hash: Option<&str>) -> Value {
        let mut labels = json!({"app": "x"});
        if let Some(hash) = hash {
            labels[TEMPLATE_HASH] = json!(hash);
        }
        json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": image}]}})
    }

    fn set(revision: &str, image: &str, uid: &str) -> DynamicObject {
        let owner =
            json!([{"apiVersion": "apps/v1", "kind": "Deployment", "name": "x", "uid": uid, "controller": true}]);
        let metadata = json!({"annotations": {REVISION: revision}, "ownerReferences": owner});
        from_value(json!({"metadata": metadata, "spec": {"selector": {}, "template": template(image, Some("h"))}}))
            .unwrap()
    }

    #[test]
    fn the_newest_other_template_is_the_target() {
        let sets = [set("1", "a:1", "u"), set("10", "a:3", "u"), set("9", "a:2", "u"), set("11", "b:1", "other")];
        let check = |current: &str, named: Option<i64>, expected: Result<(i64, &str), &str>| {
            let object = json!({"metadata": {"name": "x", "uid": "u"},
                "spec": {"selector": {}, "template": template(current, None)}});
            let found = target(&from_value(object).unwrap(), &sets, named);
            match (found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!((found.revision, found.images()[0].as_str()), expected),
                (Err(found), Err(expected)) => assert!(found.to_string().contains(expected), "{found}"),
                other => panic!("{other:?}"),
            }
        };
        // Held, so that no ReplicaSet has its template.
        check("a:4", None, Ok((10, "a:3")));
        check("a:3", None, Ok((9, "a:2")));
        check("a:4", Some(1), Ok((1, "a:1")));
        check("a:4", Some(11), Err("there are: 10, 9, 1"));
        let never = json!({"metadata": {"name": "x", "uid": "none"}, "spec": {"selector": {}, "template": {}}});
        let error = target(&from_value(never).unwrap(), &sets, None).unwrap_err();
        assert!(error.to_string().contains("never ran another template"), "{error}");
    }
}
