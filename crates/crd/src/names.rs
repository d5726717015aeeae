//! Every name that tidewaiter puts on other people's objects, in one table.

/// API group of the custom resources.
pub const GROUP: &str = "tidewaiter.dev";
/// Scheduling gate of Pods that wait for their images (`spec.schedulingGates[].name`).
pub const GATE: &str = "tidewaiter.dev/image-scan";
/// Label of gated Pods; it and the gate belong together, so that selectors can tell gated Pods apart.
pub const GATED: &str = "tidewaiter.dev/gated";
/// Annotation of a Deployment that tidewaiter paused: the hash of the held template. Display only.
pub const HELD: &str = "tidewaiter.dev/held-for";
/// Annotation of a Deployment whose pause is (also) its user's own and outlives the hold.
pub const USER_PAUSE: &str = "tidewaiter.dev/user-pause";
/// Type of the condition on workloads.
pub const CONDITION: &str = "tidewaiter.dev/ImageApproved";
/// Name of each namespace's ImageAllowlist.
pub const ALLOWLIST: &str = "images";
/// Field manager of all writes of the server.
pub const FIELD_MANAGER: &str = "tidewaiter";
/// Namespace in which the server runs.
pub const NAMESPACE: &str = "tidewaiter-system";
/// ServiceAccount of the server.
pub const SERVICE_ACCOUNT: &str = "tidewaiter";
/// ClusterRoles of the installation; the first is the server's own, with a ClusterRoleBinding of the same name.
pub const CLUSTER_ROLES: [&str; 4] = ["tidewaiter", "tidewaiter-view", "tidewaiter-edit", "tidewaiter-approve"];
