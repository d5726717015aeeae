//! Every name that tidewaiter gives to objects in a cluster, and every mark that it puts on objects of others.

/// API group of the custom resources.
pub const GROUP: &str = "tidewaiter.dev";

// Marks on objects of users and controllers; `tidewaiter uninstall` removes all of them.

/// Scheduling gate of Pods that wait for their images (`spec.schedulingGates[].name`).
pub const GATE: &str = "tidewaiter.dev/image-scan";
/// Label of gated Pods, set and removed together with the gate: watches select by labels and cannot select by gates.
pub const GATED: &str = "tidewaiter.dev/gated";
/// Annotation of a new Pod while the API server's own policies and the webhook pass it on; no Pod keeps it.
pub const UNREVIEWED: &str = "tidewaiter.dev/unreviewed";
/// Annotation of a workload that tidewaiter paused or suspended: the hash of the held template. Display only.
pub const HELD: &str = "tidewaiter.dev/held-for";
/// Annotation of a workload whose pause is (also) its user's own and outlives the hold.
pub const USER_PAUSE: &str = "tidewaiter.dev/user-pause";
/// Type of the condition on workloads.
pub const CONDITION: &str = "tidewaiter.dev/ImageApproved";
/// Annotation of a ReplicaSet; a change of it makes the ReplicaSet controller retry immediately. It has no other meaning.
pub const NUDGED: &str = "tidewaiter.dev/nudged";

// Objects of tidewaiter's own.

/// Label, and its value, of the policy reports that tidewaiter writes: it changes and deletes no others.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "tidewaiter");
/// Annotation of such a report: the hash of what it says.
pub const REPORT_CONTENT: &str = "tidewaiter.dev/report-content";
/// Annotation of such a report: how many results it has no place for.
pub const RESULTS_LEFT_OUT: &str = "tidewaiter.dev/results-left-out";
/// ClusterRole, and its binding, of who writes policy reports; not part of every installation.
pub const REPORTS_ROLE: &str = "tidewaiter-policy-reports";

/// Name of each namespace's ImageAllowlist.
pub const ALLOWLIST: &str = "images";
/// Namespace in which the server runs.
pub const NAMESPACE: &str = "tidewaiter-system";
/// Name of the server's Deployment and Service.
pub const SERVER: &str = "tidewaiter";
/// Name of the Deployment of further processes of the server.
pub const STANDBY: &str = "tidewaiter-standby";
/// Label, and its value, of the Pods of both Deployments: by it the Service leads to them, and they find each other.
pub const SERVER_LABEL: (&str, &str) = ("app.kubernetes.io/component", "server");
/// ServiceAccount of the server.
pub const SERVICE_ACCOUNT: &str = "tidewaiter";
/// User name of that ServiceAccount in requests.
pub const SERVER_USER: &str = "system:serviceaccount:tidewaiter-system:tidewaiter";
/// Annotation of the server's Lease: when the newest database was built by which a process that led has judged (RFC 3339).
pub const DATABASE_BUILT: &str = "tidewaiter.dev/database-built";
/// Annotation of a ClusterScanPolicy: asks for a test message to its receivers, `NONCE`, or to one of them, `NONCE NAME`.
pub const ALERT_TEST: &str = "tidewaiter.dev/alert-test";
/// Field manager of all writes of the server.
pub const FIELD_MANAGER: &str = "tidewaiter";
/// Name of the MutatingWebhookConfiguration.
pub const WEBHOOKS: &str = "tidewaiter";
/// Secret of the authorities that sign the webhooks' certificates.
pub const CA_SECRET: &str = "tidewaiter-webhook-ca";
/// Annotation of that Secret: when the last step of a rotation was taken (RFC 3339).
pub const CA_SINCE: &str = "tidewaiter.dev/rotation-since";
/// ConfigMap that is never made: a dry run of it shows whether the gate in the API server is in force.
pub const IN_FORCE_PROBE: &str = "in-force";
/// Lease of the process that leads.
pub const LEASE: &str = "tidewaiter";
/// ConfigMap that remembers which namespaces are enforced.
pub const ENFORCED: &str = "tidewaiter-enforced";
/// ClusterScanPolicy that a new installation begins with.
pub const DEFAULT_POLICY: &str = "default";
/// Admission policy, and its binding, that names the enforced namespaces.
pub const SHAPE: &str = "tidewaiter-shape";
/// Admission policy that lets listed images start; its binding names the enforced namespaces, too.
pub const ALLOWLIST_POLICY: &str = "tidewaiter-allowlist";
/// Policies of the gate in the API server (Kubernetes 1.36 and later), and their bindings, in the order in which they are bound:
/// the one that pins by the ImageAllowlist and gates what that does not name, the one that gates where there is none, and the
/// one whose mark shows that the others are in force.
pub const GATE_POLICIES: [&str; 3] = ["tidewaiter-gate", "tidewaiter-gate-unlisted", "tidewaiter-gate-in-force"];
/// ClusterRoles of the installation; the first is the server's own, with a ClusterRoleBinding of the same name.
pub const CLUSTER_ROLES: [&str; 5] =
    ["tidewaiter", "tidewaiter-view", "tidewaiter-edit", "tidewaiter-approve", "tidewaiter-break-glass"];
/// Verb on `rolloutapprovals` of who may let images run whatever policy says of them.
pub const OVERRIDE: &str = "override";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_user_is_its_service_account() {
        assert_eq!(SERVER_USER, format!("system:serviceaccount:{NAMESPACE}:{SERVICE_ACCOUNT}"));
    }

    #[test]
    fn every_mark_is_in_the_group() {
        let own = [REPORT_CONTENT, RESULTS_LEFT_OUT];
        for mark in [ALERT_TEST, GATE, GATED, HELD, USER_PAUSE, CONDITION, NUDGED, UNREVIEWED].into_iter().chain(own) {
            assert_eq!(mark.split('/').next(), Some(GROUP), "{mark}");
        }
    }
}
