//! What the containers of the server's Pods are given, as the Deployments in the cluster have it.

use super::Lab;
use crate::confined::Ids;
use serde_json::Value;

impl Lab {
    /// A container of the server's Deployment, as it is in the cluster.
    pub(super) fn container(&self, name: &str) -> Value {
        self.container_of("tidewaiter", name)
    }

    pub(super) fn container_of(&self, deployment: &str, name: &str) -> Value {
        named(&self.pod_of(deployment), name).clone()
    }

    /// The specification of a Deployment's Pods.
    fn pod_of(&self, deployment: &str) -> Value {
        let args = ["get", "deployment", deployment, "-n", "tidewaiter-system", "-o", "jsonpath={.spec.template.spec}"];
        let pod: Value = serde_json::from_str(&self.cluster.kubectl(&args).ok()).unwrap();
        assert_eq!(pod["automountServiceAccountToken"], false, "{pod}");
        pod
    }

    /// What a container of the server's Deployment runs as.
    pub(super) fn ids(&self, container: &str) -> Ids {
        self.ids_of("tidewaiter", container)
    }

    pub(super) fn ids_of(&self, deployment: &str, container: &str) -> Ids {
        let pod = self.pod_of(deployment);
        Ids::of(&named(&pod, container)["securityContext"], &pod["securityContext"])
    }

    /// Its environment, and the variables of this lab.
    pub(super) fn environment(&self, container: &str) -> Vec<(String, String)> {
        self.environment_of(&self.container(container))
    }

    pub(super) fn environment_of(&self, container: &Value) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let own = container["env"].as_array().into_iter().flatten();
        // What the kubelet would fill in has the program's own default here.
        let own = own.filter(|variable| variable.get("valueFrom").is_none());
        let own = own.map(|variable| (text(&variable["name"]), text(&variable["value"])));
        own.chain(self.variables.iter().cloned()).collect()
    }

    /// Command or arguments of a container.
    pub(super) fn words(&self, container: &str, field: &str) -> Vec<String> {
        words(&self.container(container), field)
    }
}

/// A container of a Pod.
fn named<'a>(pod: &'a Value, container: &str) -> &'a Value {
    pod["containers"].as_array().unwrap().iter().find(|one| one["name"] == container).unwrap()
}

/// Command or arguments of a container, which must be confined as all are.
pub(super) fn words(container: &Value, field: &str) -> Vec<String> {
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true, "{container}");
    let mounts = container["volumeMounts"].as_array().unwrap().iter().filter(|m| m["name"] == "account").count();
    assert_eq!(mounts, usize::from(container["name"] == "tidewaiter"), "the token is the server's alone: {container}");
    container[field].as_array().into_iter().flatten().map(|word| word.as_str().unwrap().to_owned()).collect()
}
