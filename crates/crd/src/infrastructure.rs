//! Namespaces of a cluster's infrastructure, by the names that their projects give them.
//!
//! What a node needs before anything else can start must not wait for the gate: `deploy/tidewaiter.yaml` excludes those
//! namespaces. Others are infrastructure, too, and can be enforced: `kubectl scan policy preflight` mentions them.

use std::fmt;

/// What a namespace of infrastructure is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InfrastructureRole {
    /// Control plane, DNS, and what distributions put next to them.
    System,
    /// Pod network (CNI), addresses of Services.
    Network,
    /// Volumes (CSI).
    Storage,
    /// Certificates of webhooks and of everything else.
    Certificates,
    /// Ingress, gateways, service meshes.
    Ingress,
    /// Other admission webhooks and policies.
    Admission,
    /// Nodes are added, workloads are scaled.
    Scaling,
    /// What applies manifests.
    Delivery,
}

impl InfrastructureRole {
    /// Whether a new installation excludes it: without it nothing starts on a new node, the server included.
    pub fn is_excluded(self) -> bool {
        match self {
            Self::System | Self::Network | Self::Storage | Self::Certificates => true,
            Self::Ingress | Self::Admission | Self::Scaling | Self::Delivery => false,
        }
    }
}

impl fmt::Display for InfrastructureRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "control plane and DNS",
            Self::Network => "network",
            Self::Storage => "volumes",
            Self::Certificates => "certificates",
            Self::Ingress => "ingress",
            Self::Admission => "admission",
            Self::Scaling => "scaling",
            Self::Delivery => "delivery",
        })
    }
}

/// Each namespace as the installation of its project names it.
pub const INFRASTRUCTURE: &[(&str, InfrastructureRole)] = &[
    ("kube-system", InfrastructureRole::System),
    ("kube-public", InfrastructureRole::System),
    ("kube-node-lease", InfrastructureRole::System),
    ("calico-apiserver", InfrastructureRole::Network),
    ("calico-system", InfrastructureRole::Network),
    ("cilium", InfrastructureRole::Network),
    ("kube-flannel", InfrastructureRole::Network),
    ("metallb-system", InfrastructureRole::Network),
    ("tigera-operator", InfrastructureRole::Network),
    ("local-path-storage", InfrastructureRole::Storage),
    ("longhorn-system", InfrastructureRole::Storage),
    ("openebs", InfrastructureRole::Storage),
    ("rook-ceph", InfrastructureRole::Storage),
    ("cert-manager", InfrastructureRole::Certificates),
    ("ingress-nginx", InfrastructureRole::Ingress),
    ("istio-system", InfrastructureRole::Ingress),
    ("linkerd", InfrastructureRole::Ingress),
    ("traefik", InfrastructureRole::Ingress),
    ("gatekeeper-system", InfrastructureRole::Admission),
    ("kyverno", InfrastructureRole::Admission),
    ("karpenter", InfrastructureRole::Scaling),
    ("keda", InfrastructureRole::Scaling),
    ("argocd", InfrastructureRole::Delivery),
    ("flux-system", InfrastructureRole::Delivery),
];

/// What a namespace is for, by its name.
pub fn role_of(namespace: &str) -> Option<InfrastructureRole> {
    INFRASTRUCTURE.iter().find(|(name, _)| *name == namespace).map(|(_, role)| *role)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever installs sees the list, and edits it.
    #[test]
    fn the_manifest_shows_what_is_excluded() {
        let manifest = include_str!("../../../deploy/tidewaiter.yaml");
        let after = manifest.split_once("TIDEWAITER_EXCLUDE_NAMESPACES").expect("the manifest has the list").1;
        let list = after.split('"').nth(1).expect("it is quoted");
        let shown: Vec<&str> = list.split(',').map(|name| name.trim_matches(['\\', '\n', ' '])).collect();
        let excluded = INFRASTRUCTURE.iter().filter(|(_, role)| role.is_excluded()).map(|(name, _)| *name);
        assert_eq!(shown, excluded.collect::<Vec<_>>());
    }

    #[test]
    fn infrastructure_is_known_by_name() {
        let check = |name: &str, expected: Option<InfrastructureRole>| assert_eq!(role_of(name), expected, "{name}");
        check("kube-system", Some(InfrastructureRole::System));
        check("kyverno", Some(InfrastructureRole::Admission));
        check("team-a", None);
        check("", None);
    }
}
